"""Questions that need more than the rows of one run."""
