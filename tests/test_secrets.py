"""Five secrets are planted where people put them, and all that a run leaves behind is searched for them."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import socket
import time
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.config.run_config import RunConfig
from basetenkit.core.secrets import redact

from .papers import one_kernel
from .peer import peer

SECRETS = {
    "key": "pl4nted-key-0815",
    "header": "pl4nted-header-4711",
    "query": "pl4nted query/1234",
    "parameter": "pl4nted-parameter-9876",
    "environment": "pl4nted-environment-5555",
}
QUICKSTART = Path(__file__).parents[1] / "notebooks" / "01_quickstart.ipynb"
ERRORS = {"http_500": 0.2, "error_event": 0.2, "reset": 0.1}


def spellings(secret: str) -> list[bytes]:
    """A secret as it may be written: as it is, percent-encoded, in base64 (whichever bytes come before it)."""
    plain = secret.encode()
    inner = [base64.b64encode(b"x" * i + plain)[4 if i else 0 : -4] for i in range(3)]
    return [plain, quote(secret, safe="").encode(), plain.replace(b" ", b"+"), *inner]


def leaks(data: bytes) -> list[str]:
    return [name for name, secret in SECRETS.items() if any(s in data for s in spellings(secret))]


def unpacked(path: Path) -> bytes:
    """A file's bytes, and beside them the values of a compressed table, the members of a workbook."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        return data + values(pl.read_parquet(path))
    if path.suffix in (".ipc", ".arrow", ".feather"):
        return data + values(pl.read_ipc(path))
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return data + b"".join(archive.read(name) for name in archive.namelist())
    return data


def values(frame: pl.DataFrame) -> bytes:
    found = []
    for row in frame.iter_rows():
        found += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    return b"\n".join(found)


def leaking_files(folder: Path) -> dict[str, list[str]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return {path.name: found for path in files if (found := leaks(unpacked(path)) + leaks(path.name.encode()))}


def config(url: str, **kw: Any) -> RunConfig:
    """A run with each secret in the place that is its own; the key of the environment if none is given."""
    query = f"{url}?api_key={quote(SECRETS['query'], safe='')}&fine=1"
    fields: dict[str, Any] = {
        "headers": {"x-secret-token": SECRETS["header"], "x-team": "research"},
        "api_key": SECRETS["key"],
    }
    endpoint = bk.Endpoint(url=query, model="m", **fields | kw.pop("endpoint", {}))
    params = {"api_key": SECRETS["parameter"], "nested": {"auth_token": SECRETS["parameter"]}, "top_p": 0.5}
    load: dict[str, Any] = {"scenarios": "D(20,5)", "concurrency": 2, "max_requests": 12, "capture": "all"}
    return bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, request_params=params, **(load | kw))


@pytest.fixture(autouse=True)
def in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASETEN_API_KEY", SECRETS["environment"])


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that any logger says, at the lowest level."""
    said = io.StringIO()
    handler, root = logging.StreamHandler(said), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.NOTSET)
    yield said
    root.removeHandler(handler)
    root.setLevel(before)


def everything_it_says(run: bk.Run) -> str:
    frames = [run.requests, run.summary, run.fates, run.chunks.collect(), run.reparse()]
    parts = [repr(run), str(run.metadata), run.config.model_dump_json(), repr(run.config), str(run.findings)]
    parts += [values(frame).decode("utf-8", "replace") for frame in frames]
    for request_id in run.requests["request_id"]:
        exchange = run.exchange(request_id)
        case = bk.ParserCase.from_exchange(exchange, run.config.endpoint)
        parts += [repr(exchange), repr(case), case.to_test("x"), str(case), bytes(exchange.request.body).decode()]
    return "\n".join(parts)


def test_what_only_sounds_like_a_secret_stays() -> None:
    params = {"max_tokens": 5, "stop_token_ids": [1], "skip_special_tokens": True, "stop": ["x"], "user": "me"}
    params |= {"prompt_cache_key": "team-a", "eos_token": "</s>", "stop_token": "<|end|>", "tokenizer": "embedded"}
    assert (
        bk.RunConfig(
            steady=False, preflight=False, endpoint=bk.Endpoint(url="http://h/"), request_params=params
        ).model_dump()["request_params"]
        == params
    )
    hidden = {"a": [{"Api-Key": "s"}], "token": "t", "token_count": 5, "api_keys": ["s", 7]}
    shown = {"a": [{"Api-Key": "***"}], "token": "***", "token_count": 5, "api_keys": ["***", 7]}
    assert redact(hidden) == shown


def test_what_a_server_could_give_away_is_known_in_each_form() -> None:
    made = config(
        "http://127.0.0.1:9/x", endpoint={"headers": {"Authorization": "Bearer abcdefghij", "x-key": "short"}}
    )
    raw = quote(SECRETS["query"], safe="").encode()
    assert set(made.endpoint.secrets()) == {raw, SECRETS["query"].encode(), b"Bearer abcdefghij", b"abcdefghij"}


def closed_port(url: str) -> str:
    return url.replace(url.split(":")[2].split("/")[0], "9")


@pytest.mark.parametrize("place", ["given", "environment"])
def test_a_run_leaves_no_secret_in_files_logs_or_what_it_says(
    tmp_path: Path, log: io.StringIO, capfd: pytest.CaptureFixture[str], place: str
) -> None:
    endpoint = {"api_key": SECRETS["key"] if place == "given" else None}
    with bk.emulator.serve(ttft_ms=3, itl_ms=1, fail=ERRORS) as server:
        run = bk.run_sync(config(server.url, endpoint=endpoint), save_to=tmp_path / "run")
        refused = bk.run_sync(config(closed_port(server.url), endpoint=endpoint), save_to=tmp_path / "refused")
        found = bk.preflight(config(server.url, endpoint=endpoint).endpoint)
    assert run.requests.height == 12
    assert set(refused.requests["outcome"]) == {"connection_error"}
    run.save(tmp_path / "saved")
    for reported in (run, refused):
        for suffix in (".html", ".xlsx"):
            bk.report(reported, tmp_path / f"{reported.requests.height}-{reported is run}{suffix}")
    bk.ParserCase.from_exchange(run.exchange(run.requests["request_id"][0])).save(tmp_path / "case.json")
    said = "\n".join([everything_it_says(run), everything_it_says(refused), repr(found), str(found)])
    assert leaking_files(tmp_path) == {}
    assert leaks(said.encode()) == []
    assert "level D(20,5) at concurrency 2 ended" in log.getvalue(), (
        "our own records are among those that were searched"
    )
    assert leaks(log.getvalue().encode()) == []
    assert leaks("".join(capfd.readouterr()).encode()) == []


def shown_of_processes(what: str) -> bytes:
    """What `ps` shows of every process: "cmdline" or "environ"; only those of Linux, where there is such a folder."""
    found = []
    for path in Path("/proc").glob(f"[0-9]*/{what}"):
        with contextlib.suppress(OSError):  # it has just ended
            found.append(path.read_bytes())
    return b"\n".join(found)


def test_workers_get_them_in_memory_alone(tmp_path: Path, log: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    with bk.emulator.serve(ttft_ms=20, itl_ms=2) as server:
        live = bk.start(config(server.url, workers=2, max_requests=20), save_to=tmp_path / "run")
        seen, surroundings = [], []
        while not live.done:
            seen.append(shown_of_processes("cmdline"))
            surroundings.append(shown_of_processes("environ"))
            time.sleep(0.1)
        run = live.result()
    assert set(run.requests["outcome"]) == {"ok"}
    assert b"basetenkit.execution.processes.worker" in b"".join(seen), "the workers are among them"
    assert leaks(b"".join(seen)) == []
    assert set(leaks(b"".join(surroundings))) <= {"environment"}, "only what the caller's own had already"
    assert "worker 2 started" in log.getvalue()
    assert leaks(log.getvalue().encode()) == []
    assert leaking_files(tmp_path) == {}
    assert leaks("".join(capfd.readouterr()).encode()) == []


def test_the_endpoint_gets_them_all_the_same() -> None:
    with bk.emulator.serve(ttft_ms=3, itl_ms=1, api_key=SECRETS["key"]) as server:
        assert set(bk.run_sync(config(server.url)).requests["outcome"]) == {"ok"}
        wrong = config(server.url, endpoint={"api_key": "other"})
        assert set(bk.run_sync(wrong).requests["outcome"]) == {"http_error"}


def reflect(sock: socket.socket, request: bytes) -> bool:
    """An error page that repeats all that was sent, as proxies and debug servers do; every other is a redirect."""
    head = request.partition(b"\r\n\r\n")[0]
    path = head.split(b" ")[1]
    if request.count(b"e") % 2:
        sock.sendall(
            b"HTTP/1.1 302 Found\r\nlocation: http://elsewhere.invalid" + path + b"\r\ncontent-length: 0\r\n\r\n"
        )
        return True
    body = b'{"error": {"message": ' + json.dumps(unquote_plus(head.decode())).encode() + b"}}"
    sock.sendall(b"HTTP/1.1 401 No\r\nx-echo: " + path + b"\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    return True


def test_a_server_that_repeats_what_it_was_sent_gives_nothing_away(tmp_path: Path) -> None:
    with peer(reflect) as server:
        run = bk.run_sync(config(server.url), save_to=tmp_path / "run")
        assert any(SECRETS["key"].encode() in request for request in server.requests)
        assert {*run.requests["status"]} == {302, 401}
        assert leaking_files(tmp_path) == {}
        assert leaks(everything_it_says(run).encode()) == []
        hidden = run.requests.filter(pl.col("status") == 401)["error_message"][0]
    assert "********" in hidden
    assert "/v1/chat/completions" in hidden


@pytest.mark.parametrize("workers", [0, 1])
def test_nor_does_it_give_away_a_key_of_the_environment_whoever_sends(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_API_KEY", SECRETS["environment"])
    with peer(reflect) as server:
        made = config(server.url, endpoint={"api_key": None, "headers": {}}, workers=workers)
        run = bk.run_sync(made, save_to=tmp_path / "run")
        assert any(SECRETS["environment"].encode() in request for request in server.requests)
        assert leaking_files(tmp_path) == {}
        assert leaks(everything_it_says(run).encode()) == []


def test_the_workbench_sends_no_secret_to_the_front_end() -> None:
    with bk.emulator.serve(ttft_ms=3, itl_ms=1) as server:
        bench = bk.ResponseWorkbench(bk.run_sync(config(server.url)))
    widgets = [bench, *bench.children, bench.request, bench.headers, bench.bytes, bench.test, bench.why]
    assert leaks("".join(str(widget.get_state()) for widget in widgets).encode()) == []


@pytest.mark.parametrize("wrong", [{"scenarios": "nonsense"}, {"concurrency": -1}, {"no_such_field": 1}, {"slo": 5}])
def test_a_wrong_configuration_is_told_without_its_secrets(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        config("http://127.0.0.1:9/v1/chat/completions", **wrong)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert leaks(shown.encode()) == []


def test_a_live_run_and_what_is_dumped_of_a_configuration_hold_none() -> None:
    with bk.emulator.serve(ttft_ms=20, itl_ms=5) as server:
        made = config(server.url)
        live = bk.start(made)
        shown = [repr(live), str(live.progress), str(vars(live.result()))]
    shown += [repr(made), str(made), made.model_dump_json(), str(made.model_dump()), repr(made.endpoint)]
    assert leaks("".join(shown).encode()) == []


def test_an_executed_notebook_holds_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", SECRETS["key"])
    with bk.emulator.serve(ttft_ms=3, itl_ms=1, fail=ERRORS) as server:
        url = f"{server.url}?token={quote(SECRETS['query'], safe='')}"
        lines = QUICKSTART.read_text()
        assert "api_key_env" in lines
        monkeypatch.setenv("MY_URL", url)
        notebook = tmp_path / "in.ipynb"
        notebook.write_text(lines.replace("if not url:", "import os; url = os.environ['MY_URL']\\nif not url:", 1))
        parameters = {"api_key_env": "MY_KEY", "max_requests": 8, "concurrency": 2, "save_to": str(tmp_path / "run")}
        with one_kernel() as papers:  # its own kernel, because it has the environment of this test
            papers.run(notebook, tmp_path, **parameters)
    assert "http_error" in (tmp_path / "out.ipynb").read_text()
    assert leaking_files(tmp_path) == {}
