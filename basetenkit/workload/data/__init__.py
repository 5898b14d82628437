"""Files that ship with the workload: the corpus, the embedded tokenizer, and the scripts that made them (see README.md)."""
