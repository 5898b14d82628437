"""The results of a run: rows, chunks, raw exchanges, run.json, and the folder that contains them."""
