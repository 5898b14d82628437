"""Data files of the workload: the corpus, the embedded tokenizer, and the scripts that made them (see README.md)."""
