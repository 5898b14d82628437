"""Buckets: their addresses and credentials, and a thread that copies a local folder to a prefix of a bucket."""
