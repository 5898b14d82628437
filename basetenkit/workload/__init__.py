"""What is sent: text of an exact length, in a payload. Its rooms are corpus, tokenizer, sampler and payload."""
