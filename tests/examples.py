"""How many examples a test of random input tries: CI tries all, a developer one in four."""

from __future__ import annotations

import os


def examples(in_ci: int) -> int:
    """At least 25, for `max_examples` of hypothesis."""
    return in_ci if os.environ.get("CI") else max(in_ci // 4, 25)
