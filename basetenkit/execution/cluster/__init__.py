"""Levels sent from the machines of a Dask cluster."""
