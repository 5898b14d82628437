from __future__ import annotations

import re

import basetenkit as bk
from basetenkit.core.version import __version__


def test_the_package_has_its_version() -> None:
    assert bk.__version__ == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", __version__)
