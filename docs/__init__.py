"""The documentation: pages, and in `generate` the scripts that write those pages which follow from the code."""
