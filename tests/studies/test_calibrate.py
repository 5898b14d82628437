from __future__ import annotations

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.studies.calibrate import _compare, _truth


@pytest.fixture(scope="module")
def found() -> object:
    endpoint = bk.Endpoint(url="http://127.0.0.1:9/not-asked", api_key="planted-key-4711")
    config = bk.RunConfig(
        steady=False, preflight=False, endpoint=endpoint, scenarios="D(20,20)", concurrency=[2, 16], max_requests=48
    )
    return bk.calibrate(config, ttft_ms=30, itl_ms=4)


def test_each_level_and_figure_has_its_bias_against_the_truth(found: bk.Calibration) -> None:
    assert found.run.requests.height == 96
    assert (found.run.requests["outcome"] == "ok").all()
    assert found.frame.height == 6
    assert found.frame["level"].to_list() == [2.0] * 3 + [16.0] * 3
    ttft = found.frame.filter(pl.col("metric") == "ttft_s")
    assert (ttft["truth_s"] > 0.029).all()
    # The server's clock of a request begins when the server reads it, which on a busy machine is late: a share, and no time.
    assert (ttft["bias_p50_s"].abs() < 0.3 * ttft["truth_s"]).all()
    assert (ttft["bias_p50_s"] > -0.0005).all()
    assert (ttft["requests"] == 48).all()
    e2e = found.frame.filter(pl.col("metric") == "e2e_s")
    assert (e2e["bias_p50_s"].abs() < 0.3 * e2e["truth_s"]).all()


def test_it_shows_itself_as_a_table_and_a_chart(found: bk.Calibration) -> None:
    assert "Time to first token" in repr(found)
    assert "planted-key-4711" not in repr(found)
    assert found.chart().to_dict()["title"]["text"] == "Bias against load"


def test_the_bias_is_the_clients_figure_less_the_servers() -> None:
    requests = pl.DataFrame(
        {
            "request_id": ["a", "b"], "scenario": "s", "load": "concurrency", "level": 1.0, "outcome": ["ok", "timeout"],
            "ttft_s": [0.052, 0.9], "e2e_s": [0.110, 0.9], "tpot_s": [0.02, None],
            "ttft_error_s": [0.001, 0.0], "e2e_error_s": [0.001, 0.0],
        }
    )  # fmt: skip
    record = {"request_id": "a", "outcome": "ok", "received_ns": 0, "tokens": 4}
    truth = _truth([record | {"first_write_ns": [1, 50_000_000], "last_write_ns": [1, 110_000_000]}])
    got = _compare(requests, truth).filter(pl.col("metric") == "ttft_s").row(0, named=True)
    assert got["requests"] == 1
    assert got["bias_mean_s"] == pytest.approx(0.002)
    assert got["outside"] == 1
    assert _compare(requests, truth).filter(pl.col("metric") == "e2e_s")["bias_max_s"][0] == pytest.approx(0.0)


def test_a_level_of_failures_has_no_bias() -> None:
    empty = _truth([{"request_id": "a", "outcome": "http_500", "received_ns": 0, "tokens": 0}])
    assert empty.height == 0


def test_embeddings_have_a_bias_at_each_batch_size_and_no_first_token() -> None:
    endpoint = bk.Endpoint(url="http://127.0.0.1:9/never-asked", model="m")
    fields = {"task": "text-to-embeddings", "scenarios": "E(16)", "batch_size": [1, 8], "concurrency": 1}
    found = bk.calibrate(bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, max_requests=5, **fields))
    assert found.frame.select("scenario", "metric", "requests").rows() == [
        ("E(16,1)", "e2e_s", 5),
        ("E(16,8)", "e2e_s", 5),
    ]
    assert "E(16,8)" in repr(found)
