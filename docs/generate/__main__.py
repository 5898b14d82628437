"""`python -m docs.generate` writes the pages that follow from the code."""

from __future__ import annotations

from . import write

write()
