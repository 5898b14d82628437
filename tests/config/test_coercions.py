"""What people and their tools give, at each public entrance: one right value, or one sentence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.config.coercions import as_scenarios, as_seconds, metric_name
from basetenkit.core.errors import ConfigError, StoreError

LOCAL: dict[str, Any] = {"url": "http://127.0.0.1:9/v1/chat/completions"}


def config(**fields: Any) -> bk.RunConfig:
    return bk.RunConfig(endpoint=LOCAL, **fields)


@pytest.mark.parametrize(
    "levels",
    [
        np.array([1, 8]), [np.int64(1), np.int32(8)], pl.Series([1, 8]), (1, 8), range(1, 9, 7),
        pytest.param(iter([1, 8]), id="an iterator"), np.array([1.0, 8.0]),
        "1,8", "1 8", " 1, 8 ", "1;8", "(1, 8)", "[1, 8]", "['1', '8']", {1: "a", 8: "b"}.keys(),
    ],
    ids=str,
)  # fmt: skip
def test_levels_in_any_form_are_a_list(levels: Any) -> None:
    assert config(concurrency=levels).concurrency == [1, 8]


@pytest.mark.parametrize("level", [8, "8", np.int64(8), np.array(8), np.uint8(8), 8.0, np.float64(8)])
def test_one_level_is_a_list_of_it(level: Any) -> None:
    assert (config(concurrency=level).concurrency, config(request_rate=level).concurrency) == ([8], [])


@pytest.mark.parametrize("levels", ["1,x", "1.5", [1.5], np.array([0, 1]), np.array([[1, 2]]), "yes"])
def test_what_is_no_level_is_refused(levels: Any) -> None:
    with pytest.raises(ConfigError, match=r"^RunConfig\.concurrency: "):
        config(concurrency=levels)


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("D(1,2),D(3,4)", ["D(1,2)", "D(3,4)"]),
        ("D(1,2); N(480,240)/(300,150)", ["D(1,2)", "N(480,240)/(300,150)"]),
        ("D(1,2)\nU(1,2)/(3,4)\n", ["D(1,2)", "U(1,2)/(3,4)"]),
        ("0.5*D(1,2)+0.5*D(3,4), D(5,6)", ["0.5*D(1,2)+0.5*D(3,4)", "D(5,6)"]),
        ("['D(1,2)', 'D(3,4)']", ["D(1,2)", "D(3,4)"]),
        ("N(480, 240)/(300,150)", ["N(480,240)/(300,150)"]),
    ],
)
def test_several_scenarios_in_one_text(text: str, several: list[str]) -> None:
    assert config(scenarios=text).scenarios == several
    assert config(scenarios=np.array(several)).scenarios == several


def test_a_parenthesis_that_is_not_closed_keeps_the_text_whole() -> None:
    assert as_scenarios("D(1,2, D(3,4)") == ["D(1,2, D(3,4)"]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("500ms", 0.5), ("2 s", 2), ("1.5 min", 90), ("10m", 600), ("1h", 3600), ("250 us", 0.00025), ("3 seconds", 3), (".5s", 0.5),
     (timedelta(minutes=2), 120), (np.float32(2), 2), (7, 7), ("7", "7")],
)  # fmt: skip
def test_seconds_may_have_a_unit(given: Any, seconds: Any) -> None:
    assert as_seconds(given) == pytest.approx(seconds)


def test_units_serve_in_every_field_of_seconds() -> None:
    endpoint = bk.Endpoint(**LOCAL, timeout_s="2 min", first_byte_timeout_s="500ms")
    assert (endpoint.timeout_s, endpoint.first_byte_timeout_s) == (120, 0.5)
    assert config(max_seconds="10 min", slo={"ttft": "500ms", "e2e_ms": 2000}).slo == {"ttft_s": 0.5, "e2e_s": 2.0}
    with pytest.raises(ConfigError, match=r"^RunConfig\.max_seconds: '5 parsecs' its unit is not one of us, µs, ms, s"):
        config(max_seconds="5 parsecs")


@pytest.mark.parametrize(
    "slo", [{"ttft": 0.5}, {"TTFT": 0.5}, {"ttft_s": 0.5}, {"ttft_ms": 500}, "{'ttft': 0.5}", {"ttft": np.float64(0.5)}]
)
def test_a_limit_may_have_its_short_name(slo: Any) -> None:
    assert config(slo=slo).slo == {"ttft_s": 0.5}


def test_a_limit_that_is_none_or_stands_twice_is_refused() -> None:
    for slo, words in (
        ({"itl": 1}, "there is no limit 'itl'"),
        ({"ttft": 1, "ttft_s": 2}, "ttft_s is given twice"),
        ({5: 1}, "no limit 5"),
    ):
        with pytest.raises(ConfigError, match=words):
            config(slo=slo)


@pytest.mark.parametrize(
    ("name", "found"),
    [("ttft", "ttft_s"), ("TTFT", "ttft_s"), ("ttft_p95", "ttft_s_p95"), ("ttft_s_p95", "ttft_s_p95"), ("ttft_p95_s", "ttft_s_p95"),
     ("e2e_mean", "e2e_s_mean"), ("error_rate", "error_rate"), ("nothing", None), (5, None)],
)  # fmt: skip
def test_metric_names(name: Any, found: str | None) -> None:
    assert metric_name(name, ["ttft_s", "ttft_s_p95", "e2e_s_mean", "error_rate"]) == found


TEXTS = ["model", "response_path", "prompt_key", "max_tokens_key"]


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("number", [405, np.int64(405)])
def test_a_whole_number_is_its_text_in_an_endpoint(field: str, number: Any) -> None:
    assert getattr(bk.Endpoint(**LOCAL, **{field: number}), field) == "405"


@pytest.mark.parametrize("field", ["salt", "tokenizer", "dataset"])
def test_a_whole_number_is_its_text_in_a_config(field: str) -> None:
    assert getattr(config(**{field: 20261128}), field) == "20261128"


@pytest.mark.parametrize("value", [4.5, 405.0, float("nan"), True, np.float64(1.5)])
@pytest.mark.parametrize("field", ["salt", "tokenizer", "dataset", "scenarios"])
def test_any_other_number_is_refused_with_the_cure(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^RunConfig\.{field}: .*is not text; papermill's -p .* use -r") as caught:
        config(**{field: value})
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(ConfigError, match=r"^Endpoint\.model: .*use -r"):
        bk.Endpoint(**LOCAL, model=value)


def test_a_key_and_headers_may_be_numbers_and_are_not_shown() -> None:
    endpoint = bk.Endpoint(**LOCAL, api_key=12345678, headers={"x-team": 7})  # type: ignore[arg-type, dict-item]
    assert (endpoint.key({}), endpoint.headers) == ("12345678", {"x-team": "7"})
    with pytest.raises(ConfigError, match=r"^Endpoint\.api_key: .*use -r") as caught:
        bk.Endpoint(**LOCAL, api_key=1234.5)  # type: ignore[arg-type]
    assert "1234" not in str(caught.value)


PATHS: list[tuple[str, Callable[[Any], Any]]] = [
    ("load", bk.load),
    ("history", bk.history),
    ("trends", bk.trends),
    ("read_genai_bench", bk.read_genai_bench),
    ("ParserCase.load", bk.ParserCase.load),
    ("compare", lambda x: bk.compare(x, x)),
    ("check_gates", bk.check_gates),
    ("charts", lambda x: bk.charts.latency_ecdf(x)),
    ("report", lambda x: bk.report(x, "x.html")),
]


@pytest.mark.parametrize("call", [call for _, call in PATHS], ids=[name for name, _ in PATHS])
def test_a_folder_called_by_a_number(
    call: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="20261125"):
        call(20261125)
    with pytest.raises(ConfigError, match=r"2\.5 is not text; .*use -r"):
        call(2.5)


def test_a_run_saved_under_a_number_is_found_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with bk.emulator.serve(ttft_ms=1, itl_ms=0) as server:
        endpoint = bk.Endpoint(server.url, model="m")
        small = config(concurrency=1, max_requests=3, scenarios="D(8,2)").with_(
            endpoint=endpoint, steady=False, preflight=False
        )
        named: Any = 20261128  # as papermill gives the name of a folder that is all digits
        run = bk.run_sync(small, save_to=named)
    assert [p.name for p in tmp_path.iterdir()] == ["20261128"]
    assert bk.load(named).requests.equals(run.requests)
    assert bk.history(named).collect().height == 1
    assert bk.check_gates(run, baseline=named).gates
    run.save(5)  # type: ignore[arg-type]
    assert bk.report(5, Path("r.csv")).read_text().count("\n") == 4  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="use -r"):
        bk.run_sync(small, save_to=1.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="use -r"):
        bk.check_gates(run, baseline=1.5)  # type: ignore[arg-type]
