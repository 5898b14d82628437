"""Every pair of charts of a run, joined in each way: the compiled scales of colour are those of the parts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
import vl_convert

import basetenkit as bk
from basetenkit.reporting.composing import composable

from ..analysis.frames import Frames, chunks_of, failures, rows

DRAWN = (
    "activity", "by_host", "error_shares", "inter_token", "itl_course", "latency_ecdf", "latency_histogram", "outcome_bars",
    "outcomes_over_time", "serving_curve", "token_ledger", "ttft_by_input", "waterfall",
)  # fmt: skip


@pytest.fixture(scope="module")
def drawn() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    parts = [
        rows(
            60,
            level=float(n),
            request_id=[f"{n}-{i}" for i in range(60)],
            ttft_s=rng.gamma(9, 0.01, 60),
            in_window=True,
        )
        for n in (1, 4)
    ]
    parts += [failures(5, level=4.0, request_id=[f"bad{i}" for i in range(5)], in_window=True)]
    frame = pl.concat(parts)
    run = Frames(frame, chunks_of(frame.filter(pl.col("outcome") == "ok"), [0.02, 0.03]))
    return {name: getattr(bk.charts, name)(run) for name in DRAWN}


def scales(chart: Any) -> list[tuple[str, str]]:
    """Each scale of colour of a compiled chart: what it maps, and to which colours."""
    found = []
    stack: list[Any] = [vl_convert.vegalite_to_vega(chart.to_dict())]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if "color" in str(node.get("name", "")) and "domain" in node and "range" in node:
                domain = node["domain"] if isinstance(node["domain"], list) else "of the data"
                found.append((json.dumps(domain), json.dumps(node["range"])))
            stack += node.values()
        elif isinstance(node, list):
            stack += node
    return sorted(found)


@pytest.mark.parametrize(
    "join",
    [lambda a, b: a | b, pytest.param(lambda a, b: a & b, marks=pytest.mark.thorough)],
    ids=["beside", "above"],
)
def test_each_pair_keeps_the_colours_of_its_parts(drawn: dict[str, Any], join: Callable[[Any, Any], Any]) -> None:
    alone = {name: scales(chart) for name, chart in drawn.items()}
    wrong = [
        (a, b)
        for i, a in enumerate(DRAWN)
        for b in DRAWN[i + 1 :]
        if scales(join(drawn[a], drawn[b])) != sorted(alone[a] + alone[b])
    ]
    assert wrong == []


def test_a_joined_chart_can_be_joined_again_and_with_a_plain_one(drawn: dict[str, Any]) -> None:
    import altair as alt

    plain = alt.Chart(pl.DataFrame({"x": [1], "c": ["a"]})).mark_point().encode(x="x:Q", color="c:N")
    three = (drawn["latency_ecdf"] | drawn["outcome_bars"]) & plain
    expected = sorted(scales(drawn["latency_ecdf"]) + scales(drawn["outcome_bars"]) + scales(plain))
    assert scales(three) == expected


def test_layers_keep_their_colours_too(drawn: dict[str, Any]) -> None:
    sizes = {name: drawn[name].to_dict().get("height") for name in DRAWN}
    plain = [name for name in DRAWN if sizes[name] == sizes["latency_ecdf"]]  # others have panels, or one step per bar
    assert len(plain) > 2
    for a, b in itertools.combinations(
        plain, 2
    ):  # each layer of a part has its own scale: they are several times the same
        assert set(scales(drawn[a] + drawn[b])) == {*scales(drawn[a]), *scales(drawn[b])}, (a, b)


def test_a_composable_chart_is_the_same_chart(drawn: dict[str, Any]) -> None:
    import altair as alt

    chart = drawn["latency_ecdf"]
    assert isinstance(chart, alt.LayerChart)
    assert type(composable(chart)) is type(chart)
    assert chart.properties(width=300).to_dict()["width"] == 300
    assert drawn["latency_histogram"].properties(width=300, title="t").to_dict()["spec"]["width"] == 300
