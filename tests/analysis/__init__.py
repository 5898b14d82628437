"""Figures, charts and findings, on rows whose right answers are known by hand."""
