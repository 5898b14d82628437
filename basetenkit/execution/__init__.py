"""A run from its first level to its last: checks before, processes, stops, the end of the process."""
