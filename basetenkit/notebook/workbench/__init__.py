"""ResponseWorkbench: one response, its bytes beside what became of them."""
