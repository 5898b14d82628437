"""The load of one level: which request goes when, and what counts it."""
