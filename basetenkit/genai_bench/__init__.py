"""What users of genai-bench bring along: its command lines, in a shell and in a notebook, and its result folders."""

from __future__ import annotations

from .flags import config_from_command

__all__ = ["config_from_command"]
