"""ResponseWorkbench: the bytes of one response, next to how they were parsed."""
