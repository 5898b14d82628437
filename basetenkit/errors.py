"""The errors under their public address, `basetenkit.errors`; they are defined in `core.errors`."""

from __future__ import annotations

from .core.errors import *  # noqa: F403
