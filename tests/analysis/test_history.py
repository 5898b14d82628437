from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.summary import summary_schema
from basetenkit.core.errors import StoreError
from basetenkit.reporting.tables import past
from basetenkit.reporting.trends import trends

from .frames import chunks_of, failures, rows
from .saved import save

DAY = 86400.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three days of runs, saved in no order, one of them two folders deep; one folder that is no run, one that is damaged."""
    root = tmp_path / "history"
    frame = rows(40)
    save(root / "z", frame, chunks_of(frame, [0.02] * 19), at=1.7e9)
    save(root / "2023" / "second", pl.concat([rows(40, e2e_s=0.6), rows(40, level=2.0)]), at=1.7e9 + DAY)
    save(root / "a", failures(40), at=1.7e9 + 2 * DAY, request_params={"temperature": 0.5}, max_requests=39)
    (root / "notes").mkdir()
    (root / "damaged").mkdir()
    (root / "damaged" / "run.json").write_text("{")
    (root / ".ipynb_checkpoints").mkdir()
    return root


def test_a_row_a_run_and_level_by_date(folder: Path) -> None:
    found = bk.history(folder).filter(pl.col("problem").is_null()).collect()
    assert [Path(r).name for r in found["run"]] == ["z", "second", "second", "a"]
    assert found["level"].to_list() == [1.0, 1.0, 2.0, 1.0]
    assert found["started_at"].is_sorted()
    assert found["e2e_s_p50"].to_list() == [0.5, 0.6, 0.5, None]
    assert found["error_rate"].to_list() == [0.0, 0.0, 0.0, 1.0]
    assert found["itl_s_p50"][0] == pytest.approx(0.02)
    assert found["loop_lag_p99_s"][0] == 0.002
    assert set(summary_schema()) <= set(found.columns)


def test_the_configuration_is_in_columns(folder: Path) -> None:
    found = bk.history(folder).filter(pl.col("max_requests") == 39).collect()
    assert found["request_params"].to_list() == ['{"temperature": 0.5}']
    assert found["model"].to_list() == ["m"]
    assert found["stream"].to_list() == [True]
    assert found["complete"].to_list() == [True]


def test_what_is_no_run_is_named_and_stops_nothing(folder: Path) -> None:
    wrong = bk.history(folder).filter(pl.col("problem").is_not_null()).collect()
    named = {Path(r).name: p for r, p in wrong.select("run", "problem").iter_rows()}
    assert set(named) == {"notes", "damaged"}
    assert "no run.json" in named["notes"]
    assert "is not JSON" in named["damaged"]
    assert wrong["e2e_s_p50"].null_count() == 2


def test_documents_that_are_json_and_no_run_are_named(folder: Path) -> None:
    document = json.loads((folder / "z" / "run.json").read_text())
    for name, change in {
        "levels": {"levels": [1, 2]},
        "none": {"levels": []},
        "config": {"config": None},
        "schema": {"schema": 10_000},
    }.items():
        (folder / name).mkdir()
        (folder / name / "run.json").write_text(json.dumps(document | change))
    wrong = bk.history(folder).filter(pl.col("problem").is_not_null()).collect()
    assert {Path(r).name for r in wrong["run"]} == {"notes", "damaged", "none", "levels", "config", "schema"}


def test_a_part_that_cannot_be_read_is_left_out_and_named(folder: Path) -> None:
    part = next((folder / "2023" / "second" / "levels" / "001").glob("requests*"))
    part.write_bytes(b"PAR1 and no more")
    found = bk.history(folder).filter(pl.col("run").str.ends_with("second")).collect()
    assert found["complete"].to_list() == [False, False]
    assert "left out" in found["problem"][0]
    assert found["sent"].to_list() == [40, None]


def test_it_is_lazy(folder: Path) -> None:
    """Rows that nobody asked for may be broken: they are not read."""
    frame = bk.history(folder)
    for part in folder.rglob("*.parquet"):
        part.write_bytes(b"nothing")
    assert frame.select("run", "started_at", "model").collect().height == 6
    assert frame.filter(pl.col("model") == "other").collect().height == 0
    assert frame.select("run", "e2e_s_p50").collect()["e2e_s_p50"].null_count() == 6


def test_it_sees_the_runs_that_came_after(folder: Path) -> None:
    frame = bk.history(folder).filter(pl.col("e2e_s_p50") == 0.7)
    assert frame.collect().height == 0
    save(folder / "later", rows(40, e2e_s=0.7), at=1.7e9 + 3 * DAY)
    assert frame.select("level").collect().height == 1
    assert bk.history(folder).head(2).collect()["e2e_s_p50"].to_list() == [0.5, 0.6]
    assert bk.history(folder).group_by("model").len().collect().height == 2


def test_one_run_is_a_history_too_and_an_empty_folder_is_none(folder: Path, tmp_path: Path) -> None:
    assert bk.history(folder / "z").collect().height == 1
    (tmp_path / "empty").mkdir()
    assert bk.history(tmp_path / "empty").collect().height == 0
    with pytest.raises(StoreError, match="there is no folder"):
        bk.history(tmp_path / "nowhere")


def test_figures_follow_the_files(folder: Path) -> None:
    """A cached result is used again, but never for rows that have changed."""
    frame = bk.history(folder).filter(pl.col("run").str.ends_with("z")).select("e2e_s_p50", "itl_s_p50")
    assert frame.collect().rows() == frame.collect().rows()
    (part,) = (folder / "z" / "levels" / "000").glob("requests*")
    rows(41, e2e_s=0.9).write_parquet(part)
    assert frame.collect()["e2e_s_p50"].to_list() == [0.9]


PRICE = {"usd_per_minute": 1.2, "source": "a contract", "as_of": "2026-11-28"}


def test_costs_are_in_the_history_with_the_price_that_they_are_made_of(tmp_path: Path) -> None:
    save(tmp_path / "priced", rows(60), price=PRICE)
    save(tmp_path / "plain", rows(60), at=1.7e9 + DAY)
    found = bk.history(tmp_path).collect()
    run = bk.load(tmp_path / "priced")
    name = "usd_per_million_output_tokens"
    assert found[name].to_list() == [run.summary_wide[name][0], None]
    assert found["price"][1] is None
    assert bk.Price.model_validate_json(found["price"][0]).origin == "price from a contract, 2026-11-28"
    drawn = trends(tmp_path, name)
    assert any(text == "Costs of 1 row(s): price from a contract, 2026-11-28." for text in drawn.words)
    assert any("unknown, no price is given" in text for text in drawn.words)
    assert "cost per million output tokens" in repr(drawn)


def test_a_comparison_of_costs_names_both_prices(tmp_path: Path) -> None:
    a = save(tmp_path / "a", rows(60), price=PRICE)
    b = save(tmp_path / "b", rows(60), price=PRICE | {"usd_per_minute": 2.4, "source": "a list"})
    found = bk.compare(a, b)
    row = found.frame.row(by_predicate=pl.col("metric") == "usd_per_million_tokens", named=True)
    assert (row["unit"], row["better"]) == ("USD", "lower")
    assert row["ratio"] == pytest.approx(2)
    assert "Costs of a: price from a contract, 2026-11-28. Costs of b: price from a list, 2026-11-28." in found.words
    unknown = bk.compare(a, save(tmp_path / "c", rows(60)))
    assert unknown.frame.row(by_predicate=pl.col("metric") == "usd_per_million_tokens", named=True)["b"] is None
    assert any("Costs of b: unknown: no price is given." in text for text in unknown.words)
    shown = repr(past(tmp_path))
    assert "price from a contract, 2026-11-28" in shown
    assert "no price is given" in shown


def test_the_blocks_of_a_noise_measurement_are_not_in_the_history(tmp_path: Path) -> None:
    save(tmp_path / "run", rows(40))
    save(tmp_path / "noise" / "000-A", rows(40))
    (tmp_path / "noise" / "noise.json").write_text("{}")
    assert [Path(name).name for name in bk.history(tmp_path).collect()["run"]] == ["run"]
