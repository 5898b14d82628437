"""The configuration of a run: the endpoint, the levels, the limits; validated before anything is sent."""
