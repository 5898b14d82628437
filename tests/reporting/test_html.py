"""The report as its reader gets it: the file is read back, of runs of every kind, with what a hostile server may say."""

from __future__ import annotations

import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError, StoreError
from basetenkit.reporting import html as module

from ..analysis.frames import chunks_of, failures, rows
from ..analysis.saved import save

SECRET = "k-3f9a7c51d2-never-to-be-seen"
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def plain() -> pl.DataFrame:
    ttft = np.random.default_rng(3).gamma(4, 0.02, 60)
    return pl.concat([rows(60, ttft_s=ttft, request_id=[f"{x:g}-{i}" for i in range(60)], level=x) for x in (1.0, 4.0)])


KINDS: dict[str, Any] = {
    "normal": plain,
    "errors only": lambda: failures(12),
    "one request": lambda: rows(1),
    "not streamed": lambda: rows(20, ttft_s=None, ttft_error_s=None, output_chunks=1, wire_format="json"),
    "null columns": lambda: rows(5, output_tokens_server=None, rtt_s=None, started_at=None, end_s=None, sent_s=None),
    "never sent": lambda: failures(4, "connection_error", sent_s=None, end_s=None),
    "open loop": lambda: rows(30, load="request_rate", level=2.0),
}


class Seen(HTMLParser):
    """What a browser would make of the page: its tags with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def loaded(path: Path, frame: pl.DataFrame) -> bk.Run:
    ok = frame.filter((pl.col("outcome") == "ok") & pl.col("ttft_s").is_not_null())
    return bk.load(save(path, frame, chunks_of(ok, [0.02, 0.03])))


def seen(run: bk.Run, path: Path) -> Seen:
    return Seen(bk.report(run, path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_every_kind_has_a_report_in_both_forms(kind: str, tmp_path: Path) -> None:
    run = loaded(tmp_path / "run", KINDS[kind]())
    page = seen(run, tmp_path / "report.html")
    assert len(page.all("img")) == len(module.CHARTS)
    assert all((x["src"] or "").startswith("data:image/png;base64,iVBOR") and x["alt"] for x in page.all("img"))
    assert (tmp_path / "report.html").stat().st_size < 3_000_000
    assert bk.report(run, tmp_path / "report.xlsx") == tmp_path / "report.xlsx"
    assert zipfile.ZipFile(tmp_path / "report.xlsx").testzip() is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.xlsx", "run"]


def test_the_page_has_its_figures_and_what_to_know_with_them(tmp_path: Path) -> None:
    run = loaded(
        tmp_path / "run", pl.concat([plain(), failures(7, level=4.0, request_id=[f"bad{i}" for i in range(7)])])
    )
    text = seen(run, tmp_path / "r.html").text
    assert "127 requests to http://127.0.0.1:9/v1/chat/completions, begun 2023-11-14 22:13 UTC." in text
    for wanted in (
        "60 of 67",
        "some_failed",
        "never_sent",
        "reported - counted",
        "config.endpoint.model",
        "loop_lag_p99_s",
    ):
        assert wanted in text
    assert "TTFT at most 0.010 ms (median), 0.010 ms (99th percentile)" in text
    assert "E2E at most 0.010 ms (median), 0.010 ms (99th percentile)" in text
    assert "Requests timed: 127 by the kernel." in text


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    text = seen(loaded(tmp_path / "run", failures(12)), tmp_path / "r.html").text
    assert "No successful request in the window has a latency whose error is known." in text
    assert re.search(r"No row of this run has [^.]*ttft_s", text)
    assert "all_failed" in text


def test_the_page_runs_nothing_and_fetches_nothing(tmp_path: Path) -> None:
    frame = failures(12, error_message=EVIL, finish_reason=EVIL, scenario="D(100,20)", upstream_request_id=EVIL)
    page = seen(loaded(tmp_path / "run", frame), tmp_path / "r.html")
    assert EVIL in page.text
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert {"http-equiv": "Content-Security-Policy", "content": policy} in page.all("meta")
    assert all((x["src"] or "").startswith("data:") for x in page.all("img"))


def test_a_model_named_like_markup_stays_a_name(tmp_path: Path) -> None:
    endpoint = bk.Endpoint(url="http://127.0.0.1:9/v1/chat/completions", model=EVIL)
    folder = save(tmp_path / "run", rows(3))
    text = (folder / "run.json").read_text().replace('"model":"m"', '"model": "m"')
    (folder / "run.json").write_text(text.replace('"model": "m"', f'"model": "{endpoint.model}"'))
    page = seen(bk.load(folder), tmp_path / "r.html")
    assert f"{EVIL}, measured with basetenkit" in page.text
    assert page.all("script") == []


def test_light_and_dark_are_both_there(tmp_path: Path) -> None:
    page = bk.report(loaded(tmp_path / "run", rows(3)), tmp_path / "r.html").read_text()
    assert "color-scheme: light dark" in page
    assert "prefers-color-scheme: dark" in page


def test_a_real_run_is_reported_without_its_key(tmp_path: Path) -> None:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        endpoint = bk.Endpoint(url=server.url, model="m", api_key=SECRET)
        run = bk.run_sync(
            bk.RunConfig(
                steady=False, preflight=False, endpoint=endpoint, scenarios="D(20,5)", concurrency=2, max_requests=6
            )
        )
    page = bk.report(run, tmp_path / "r.html").read_text()
    assert "6 of 6" in page
    assert SECRET not in page
    book = zipfile.ZipFile(bk.report(run, tmp_path / "r.xlsx"))
    assert not [name for name in book.namelist() if SECRET.encode() in book.read(name)]


@pytest.mark.parametrize("name", ["r.pdf", "r", "html"])
def test_another_suffix_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"'{name}' should end in \.html, \.xlsx, \.csv"):
        bk.report(loaded(tmp_path / "run", rows(1)), tmp_path / name)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="report takes a Run, not DataFrame"):
        bk.report(rows(1), tmp_path / "r.html")  # type: ignore[call-overload]


@pytest.mark.parametrize("where", ["missing/r.html", "file/r.xlsx", "folder.xlsx", "missing/r.xlsx"])
def test_a_place_that_cannot_be_written_is_a_sentence_and_leaves_nothing(where: str, tmp_path: Path) -> None:
    run = loaded(tmp_path / "run", rows(1))
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder.xlsx").mkdir()
    with pytest.raises(
        StoreError, match=r"the report cannot be written to .*; give a file in a folder that exists"
    ) as e:
        bk.report(run, tmp_path / where)
    assert "\n" not in str(e.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.xlsx", "run"]


def test_a_report_replaces_the_one_before(tmp_path: Path) -> None:
    target = tmp_path / "R.HTML"
    target.write_text("old")
    assert bk.report(loaded(tmp_path / "run", rows(1)), str(target)) == target
    assert "<h1>" in target.read_text()


@pytest.mark.thorough
def test_many_levels_stay_below_three_megabytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    parts = [
        rows(40, level=float(x), ttft_s=rng.gamma(4, 0.02, 40), request_id=[f"{x}-{i}" for i in range(40)])
        for x in range(1, 25)
    ]
    path = bk.report(loaded(tmp_path / "run", pl.concat(parts)), tmp_path / "r.html")
    assert path.stat().st_size < 3_000_000
