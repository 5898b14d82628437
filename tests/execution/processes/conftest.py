from __future__ import annotations

from ...leaks import nothing_stays_behind, the_clock_has_its_socket

__all__ = ["nothing_stays_behind", "the_clock_has_its_socket"]
