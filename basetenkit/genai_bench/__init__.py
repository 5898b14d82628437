"""What users of genai-bench bring along: its command lines, in a shell and in a notebook."""
