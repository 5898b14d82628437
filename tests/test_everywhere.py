"""One run, every surface: the same verdict, and the same text for the same figure."""

from __future__ import annotations

import html
import re
import sys

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.cli.ending import show_end
from basetenkit.reporting.tables import overview_rows

from .analysis.frames import failures, rows
from .analysis.saved import save
from .reporting.test_workbook import read


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> bk.Run:
    rng = np.random.default_rng(4)
    parts = [
        rows(
            200,
            level=float(n),
            request_id=[f"{n}-{i}" for i in range(200)],
            ttft_s=rng.gamma(20, 0.005 * n, 200),
            start_s=np.arange(200) / n,
        )
        for n in (1, 4)
    ]
    bad = failures(9, level=4.0, request_id=[f"bad{i}" for i in range(9)], start_s=np.arange(9.0) + 50)
    return bk.load(save(tmp_path_factory.mktemp("everywhere") / "run", pl.concat([*parts, bad]), slo={"ttft_s": 0.3}))


@pytest.fixture(scope="module")
def surfaces(run: bk.Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each surface as the text that its reader sees."""
    folder = tmp_path_factory.mktemp("surfaces")
    cell = run._repr_mimebundle_()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "250")
        printed = folder / "printed.txt"
        with printed.open("w") as out:
            patch.setattr(sys, "stdout", out)
            show_end(run, folder, [])
    sheet = read(bk.report(run, folder / "r.xlsx").read_bytes())["Overview"]
    return {
        "a cell's text": cell["text/plain"],
        "a cell's HTML": seen(cell["text/html"]),
        "the report": seen(bk.report(run, folder / "r.html").read_text()),
        "the workbook": " ".join(str(cell) for row in sheet for cell in row.values()),
        "the command line": printed.read_text(),
    }


def seen(markup: str) -> str:
    text = html.unescape(
        re.sub(r"<style>.*?</style>|</?(b|span)>|<[^>]+>", lambda m: "" if m[1] else " ", markup, flags=re.S)
    )
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("name", ["a cell's text", "a cell's HTML", "the report", "the workbook", "the command line"])
def test_a_surface_has_the_verdict_and_the_figures_of_all_others(
    run: bk.Run, surfaces: dict[str, str], name: str
) -> None:
    text = surfaces[name]
    assert str(run.verdict) in text
    for row in overview_rows(run):
        for title, figure in row.items():
            assert figure in text, f"{title}: {figure}"
    for finding in run.findings:
        assert finding.code in text


def test_the_verdict_comes_first(run: bk.Run, surfaces: dict[str, str]) -> None:
    for text in surfaces.values():
        assert text.index(str(run.verdict)) < text.index("TTFT p50, ms")
    assert repr(run).endswith(str(run.verdict))
