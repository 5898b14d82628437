"""What every part may use: the nouns, the errors, the findings, secrets, tables of text."""
