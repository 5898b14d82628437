from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from basetenkit.interop.baseten_card import EMBEDDING, LLM
from tests.analysis.frames import rows
from tests.analysis.saved import save
from tests.serving import serving

KEY = "planted-key-4711"
PRICE = {"usd_per_minute": 0.6, "replicas": 2, "source": "a contract", "as_of": "2026-11-28"}


def level(users: float, tpot_s: float, scenario: str = "D(512,256)") -> pl.DataFrame:
    """100 requests, one after another, at this TPOT and a TTFT of 0.1 s."""
    e2e = 0.1 + 255 * tpot_s
    columns = {"level": users, "scenario": scenario, "e2e_s": e2e, "output_tokens": 256, "tpot_s": tpot_s}
    made = rows(100, **columns, start_s=[i * e2e / users for i in range(100)])
    ids = [f"{users:g}-{i}" for i in range(100)]
    return made.with_columns(request_id=pl.Series(ids))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Levels of 1, 4, 8 and 16 users with a TPOT of 20, 40, 60 and 45 ms."""
    parts = [level(1, 0.02), level(4, 0.04), level(8, 0.06), level(16, 0.045)]
    return save(tmp_path / "card", pl.concat(parts), price=PRICE, scenarios="D(512,256)", concurrency=[1, 4, 8, 16])


def test_a_card_from_levels_known_by_hand(sweep: Path) -> None:
    card = bk.baseten_card(sweep)
    assert (card["run_id"], card["measured_at"], card["profile"]) == ("card", "2023-11-14", "512x256")
    assert (card["replicas"], card["embedding"]) == (2, None)
    llm, intervals = card["llm"], card["intervals"]
    assert llm["ttft_ms_p50"] == pytest.approx(100)
    assert llm["output_tokens_per_sec_per_user_p50"] == pytest.approx(50)
    assert llm["max_concurrent_users_at_50ms_tpot"] == 4  # not 16: 8 users are over the limit
    assert intervals["max_concurrent_users_at_50ms_tpot"] == [4, 7]
    four = bk.load(sweep).summary_wide.row(by_predicate=pl.col("level") == 4, named=True)
    assert llm["requests_per_sec_p50"] == four["requests_per_s"]
    assert intervals["requests_per_sec_p50"] == [four["requests_per_s_low"], four["requests_per_s_high"]]
    assert llm["cost_per_1m_tokens_usd"] == four["usd_per_million_tokens"]
    assert set(card["definitions"]) == set(llm) == set(LLM)
    assert card["reasons"] == {}
    assert "a contract, 2026-11-28" in repr(card)


def test_what_is_not_known_is_none_and_says_why(tmp_path: Path) -> None:
    slow = save(tmp_path / "slow", level(1, 0.08), scenarios="D(512,256)", concurrency=1)
    card = bk.baseten_card(slow, replicas=3, run_id="first")
    assert (card["run_id"], card["replicas"]) == ("first", 3)
    assert card["llm"]["max_concurrent_users_at_50ms_tpot"] is None
    assert card["reasons"]["cost_per_1m_tokens_usd"] == "no price is given"
    assert "within 50 ms" in card["reasons"]["requests_per_sec_p50"]
    assert bk.baseten_card(slow)["replicas"] is None
    assert "unknown: no price is given" in card._repr_mimebundle_()["text/html"]
    fast = save(tmp_path / "fast", level(1, 0.02), scenarios="D(512,256)", concurrency=1)
    assert bk.baseten_card(fast)["intervals"]["max_concurrent_users_at_50ms_tpot"] == [1, None]


def test_several_runs_of_one_endpoint_are_one_card(tmp_path: Path) -> None:
    parts = {"one": level(1, 0.02), "eight": level(8, 0.03)}
    folders = [save(tmp_path / name, part, scenarios="D(512,256)") for name, part in parts.items()]
    card = bk.baseten_card(folders)
    assert card["llm"]["max_concurrent_users_at_50ms_tpot"] == 8
    other = save(tmp_path / "other", level(1, 0.02), endpoint=bk.Endpoint(url="http://127.0.0.1:9/v1", model="another"))
    for given, what in (
        ([*folders, other], "several endpoints"),
        ([], "no run was given"),
        (save(tmp_path / "open", level(2, 0.02).with_columns(load=pl.lit("request_rate"))), "number of users"),
        (save(tmp_path / "two", pl.concat([level(1, 0.02, "D(1,2)"), level(1, 0.02, "D(3,4)")])), "several scenarios"),
    ):
        with pytest.raises(ConfigError, match=what):
            bk.baseten_card(given)


def test_the_preset_measures_every_figure() -> None:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        config = bk.card_config(endpoint, concurrency=[1, 2], max_requests=25, price=bk.Price(**PRICE))
        assert bk.card_config(endpoint).slo == {"tpot_s": 0.05}
        card = bk.baseten_card(bk.run_sync(config))
    assert card["profile"] == "512x256"
    assert [name for name, value in card["llm"].items() if value is None] == []
    for name, value in card["llm"].items():
        low, high = card["intervals"][name]
        assert low is None or low <= value, name
        assert high is None or value <= high, name


def test_an_embedding_model_has_its_own_figures() -> None:
    with bk.emulator.serve(ttft_ms=5) as server:
        endpoint = bk.Endpoint(url=f"{server.base_url}/v1/embeddings", model="m")
        config = bk.RunConfig(endpoint=endpoint, task="text-to-embeddings", scenarios="E(20)", concurrency=[1, 4])
        card = bk.baseten_card(bk.run_sync(config.with_(max_requests=40)))
    assert (card["llm"], set(card["embedding"])) == (None, set(EMBEDDING))
    assert card["embedding"]["input_tokens_per_sec"] > 0


@contextmanager
def library() -> Iterator[tuple[str, list[tuple[str, str, Any]]]]:
    """The address of a stand-in for the management API's library listings, and (method, path, body) of each request it got."""
    seen: list[tuple[str, str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            seen.append(("PATCH", self.path, body))
            known = self.path == "/v1/library_listings/my%20model/versions/v1"
            version = {"version_tag": "v1", "is_live": False, "allow_truss_download": True, "oracle_version_id": "o1"}
            version |= {"created_at": "2026-11-28T10:00:00Z", "modified_at": "2026-11-28T10:00:00Z"}
            answer = json.dumps(version | body).encode()
            right = self.headers["authorization"] == f"Bearer {KEY}"
            self.send_response(401 if not right else 200 if known else 404)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}", seen


def test_only_an_explicit_call_writes_the_card_and_only_its_schema(sweep: Path) -> None:
    with library() as (url, seen):
        card = bk.baseten_card(sweep)
        assert seen == []
        stored = card.upload("my model", "v1", api_key=KEY, base_url=url)
        with pytest.raises(ConfigError, match="status 404"):
            card.upload("another", "v1", api_key=KEY, base_url=url)
        with pytest.raises(ConfigError, match="the key was refused") as caught:
            card.upload("my model", "v1", api_key="wrong-key", base_url=url)
    assert "wrong-key" not in str(caught.value)
    ((method, path, body), *_) = seen
    assert (method, path) == ("PATCH", "/v1/library_listings/my%20model/versions/v1")
    assert body == {"benchmark": card.snapshot}
    assert "intervals" not in body["benchmark"]
    assert stored["benchmark"]["llm"] == card["llm"]
    with pytest.raises(ConfigError, match="the key is sent only to"):
        card.upload("my model", "v1", api_key=KEY, base_url="https://example.com")


def test_a_card_without_a_figure_is_not_written(sweep: Path) -> None:
    card = bk.baseten_card(sweep)
    card["llm"] = dict.fromkeys(card["llm"])
    with library() as (url, seen), pytest.raises(ConfigError, match="no figure"):
        card.upload("my model", "v1", api_key=KEY, base_url=url)
    assert seen == []


def test_cards_and_stand_in_keep_the_schema_of_basetens_own_package(sweep: Path) -> None:
    models = pytest.importorskip("baseten.client.managementapi")
    card = bk.baseten_card(sweep)
    read = models.BenchmarkSnapshot.model_validate(card.snapshot)
    assert read.llm.model_dump() == card["llm"]
    assert set(models.BenchmarkSnapshot.model_fields) - {"tts"} == set(card.snapshot)
    assert set(models.LLMBenchmarkMetrics.model_fields) == set(LLM)
    assert set(models.EmbeddingBenchmarkMetrics.model_fields) == set(EMBEDDING)
    with library() as (url, seen):
        stored = card.upload("my model", "v1", api_key=KEY, base_url=url)
    assert models.UpdateLibraryListingVersionRequest.model_validate(seen[0][2]).benchmark.profile == "512x256"
    assert models.LibraryListingVersion.model_validate(stored).benchmark.replicas == 2
