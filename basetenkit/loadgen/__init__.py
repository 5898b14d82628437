"""The load of one level: which request is sent when, and what counts them."""
