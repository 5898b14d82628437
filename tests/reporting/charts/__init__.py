"""Tests of the charts, a file each."""
