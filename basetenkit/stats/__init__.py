"""Estimates, intervals and tests of plain arrays; they know no requests."""
