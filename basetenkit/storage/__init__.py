"""Buckets: their addresses and credentials, and a local folder that a thread keeps the same as a prefix of a bucket."""
