"""What a run is told: the endpoint, the levels, the limits; validated before anything is sent."""
