"""Support for users of genai-bench: its command lines, in a shell and in a notebook, and its result folders."""

from __future__ import annotations

from .flags import config_from_command
from .reading import read_genai_bench
from .writing import write_genai_bench

__all__ = ["config_from_command", "read_genai_bench", "write_genai_bench"]
