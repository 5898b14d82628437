"""Estimates, intervals and tests on plain arrays, independent of requests."""
