"""A comparison, every surface: the same verdict, and the same text for the same figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.analysis.compared import Compared
from basetenkit.cli.comparison import show_comparison
from basetenkit.core.errors import ConfigError

from ..analysis.test_comparison_verdict import saved, steady
from ..studies.test_comparing_result import result
from ..test_everywhere import seen
from .test_workbook import read


def of_runs(folder: Path) -> Compared:
    return bk.compare(saved(folder / "a", steady()), saved(folder / "b", steady(1.2, seed=2)))


def of_endpoints(folder: Path) -> Compared:
    return result(0.92, failed=2)


@pytest.mark.parametrize("make", [of_runs, of_endpoints])
def test_every_surface_has_the_verdict_first_and_the_same_figures(
    make: Callable[[Path], Compared], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = make(tmp_path)
    show_comparison(found)
    page = bk.report(found, tmp_path / "c.html").read_text()
    book = read(bk.report(found, tmp_path / "c.xlsx").read_bytes())
    cell = found._repr_mimebundle_()
    surfaces = {
        "text": cell["text/plain"],
        "cell": seen(cell["text/html"]),
        "report": seen(page),
        "workbook": " ".join(str(x) for row in book["Overview"] for x in row.values()),
        "terminal": capsys.readouterr().out,
    }
    figures = [str(x) for rows in found.table_rows().values() for row in rows for x in row.values() if x is not None]
    for name, text in surfaces.items():
        assert str(found.verdict) in text, name
        for figure in figures:
            assert text.index(str(found.verdict)) < text.rindex(figure), f"{name}: {figure}"
        for words in found.words:
            assert words in text, name
    assert "data:image/png" in page
    assert set(book) == {"Overview", *found.frames()}


def test_a_comparison_has_no_csv(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"written as \.html or \.xlsx"):
        bk.report(of_endpoints(tmp_path), tmp_path / "c.csv")
    assert not list(tmp_path.glob("*.csv"))
