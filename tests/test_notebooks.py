"""The notebooks as papermill runs them: on defaults, on an endpoint that is not there, and with a wrong parameter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk

from .papers import NOTEBOOKS, Papers, charts, outputs, shown

QUICKSTART = "01_quickstart"


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_committed_notebook_is_clean_and_short_in_its_cells(path: Path) -> None:
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert code[0].metadata["tags"] == ["parameters"]
    assert [c for c in code if c.outputs or c.execution_count] == []
    assert max(c.source.count("\n") + 1 for c in code[1:]) < 15
    assert code[0].source.count("\n") + 1 <= 16  # a parameter a line


def test_the_quickstart_on_defaults_leaves_tables_and_charts_that_need_no_network(
    papers: Papers, tmp_path: Path
) -> None:
    notebook = papers.run(QUICKSTART, tmp_path, max_requests=24, save_to=str(tmp_path / "run"))
    drawn = charts(notebook)
    assert len(drawn) == 6
    assert all("image/png" in c for c in drawn)
    assert not [o for o in outputs(notebook) if o.output_type == "error"]
    text = shown(notebook)
    assert "48 ok" in text
    assert "24 of 24" in text
    assert "TTFT p50, ms" in text
    rows = bk.load(tmp_path / "run").requests
    assert rows.filter(pl.col("phase") == "measured").height == 48


def test_the_clock_notebook_states_an_error_that_holds_the_truth(papers: Papers, tmp_path: Path) -> None:
    notebook = papers.run("06_trust_the_clock", tmp_path, levels="[2, 8]", max_requests=24, output_tokens=10)
    text = shown(notebook)
    assert text.count("Time to first token") == 6
    assert "outside it" in text
    assert "heard late, ms" in text
    assert "shape: (10, 3)" in text  # one row per token that the openai SDK received
    assert len(charts(notebook)) == 1


def test_an_endpoint_that_is_not_there_leaves_a_whole_notebook_that_says_so(papers: Papers, tmp_path: Path) -> None:
    text = shown(papers.run(QUICKSTART, tmp_path, url="http://127.0.0.1:9/v1/chat/completions", max_requests=4))
    assert "No request to this endpoint can succeed, so no level was run" in text
    assert "no connection to 127.0.0.1:9: Connection refused" in text
    assert "<Run: 1 requests in 2 level(s), 0 ok, not complete>" in text or "0 of 0" in text


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"scenarios": "N(480)"}, 'scenario "N(480)": N needs (mean,sd)/(mean,sd)'),
        ({"concurrency": -1}, "RunConfig.concurrency: -1 should be greater than or equal to 1"),
        ({"tokenizer": "/no/such/folder"}, "/no/such/folder"),
        ({"url": "not a url"}, "Endpoint.url: it must be an http:// or https:// URL"),
        ({"api_key_env": "NO_SUCH_VARIABLE"}, "the environment variable NO_SUCH_VARIABLE is not set"),
        ({"url": "https://model-abcd1234.api.baseten.co/production/predict"}, "set MODEL_API_KEY or BASETEN_API_KEY"),
    ],
)
def test_a_wrong_parameter_fails_the_notebook_with_one_sentence(
    papers: Papers, tmp_path: Path, parameters: dict[str, Any], sentence: str
) -> None:
    said = papers.error(QUICKSTART, tmp_path, **parameters).evalue
    assert sentence in said
    assert "\n" not in said


def test_the_capacity_notebook_shows_the_whole_way_on_the_embedded_endpoint(papers: Papers, tmp_path: Path) -> None:
    """Its answer is a rough guess, and says so; the true capacity of the engine model is beside it."""
    notebook = papers.run("10_capacity", tmp_path, budget='{"requests": 1000}', save_to=str(tmp_path / "search"))
    text = shown(notebook)
    assert "This is a rough guess" in text
    assert "Plan with" in text
    assert "The largest load that keeps the SLO for 95.0% of requests" in text
    assert "dedicated is cheaper from" in text
    assert len(charts(notebook)) == 1
    assert (tmp_path / "search" / "capacity.json").exists()
