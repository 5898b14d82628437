"""The workload: text of an exact length, in a payload. Its modules are corpus, tokenizer, sampler and payload."""
