"""Commands and files of other tools."""
