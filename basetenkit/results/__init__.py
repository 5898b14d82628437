"""What a run leaves: rows, chunks, raw exchanges, run.json, and the folder that holds them."""
