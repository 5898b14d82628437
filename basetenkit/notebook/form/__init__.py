"""RunForm: a configuration filled in by hand."""
