from __future__ import annotations

import subprocess
import sys

import pytest

import basetenkit as bk


def test_every_public_name_is_there() -> None:
    assert sorted(bk.__all__) == bk.__all__
    for name in bk.__all__:
        assert getattr(bk, name) is not None
    assert set(bk.__all__) <= set(dir(bk))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = bk.nope


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = "polars altair transformers ipywidgets httpx numpy pydantic scipy tokenizers"
    code = f"import sys, basetenkit; print([m for m in {heavy.split()!r} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
