"""The version of this package; it is defined only here."""

__version__ = "0.1.0.dev0"
