"""Parts that every package may use: basic types, errors, findings, secrets, text tables."""
