"""What the tests of conductor and outgoing make runs of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import basetenkit as bk
from basetenkit.config.loads import ClosedLoop, OpenLoop
from basetenkit.config.plan import levels_of
from basetenkit.config.scenarios import parse_scenario
from basetenkit.core.types import Request
from basetenkit.execution.checks import open_manifest
from basetenkit.execution.runner import RunController
from basetenkit.loadgen.prepared import Prepared
from basetenkit.loadgen.request_source import RequestSource, TokenBudget, quota, request_head
from basetenkit.results.store import RunFolder
from basetenkit.transport.http_request import Head, HttpRequest
from basetenkit.workload import datasets
from basetenkit.workload.sampler import Sampler
from basetenkit.workload.tokenizer import load_tokenizer

KEY = "planted-key-4711"

URL = "http://127.0.0.1:9/v1/chat/completions"


def config(**kw: Any) -> bk.RunConfig:
    endpoint = kw.pop("endpoint", None) or bk.Endpoint(url=kw.pop("url", URL), model="m", api_key=KEY)
    fields: dict[str, Any] = {"scenarios": "D(20,5)", "concurrency": 2, "max_requests": 6, "salt": "s"}
    return bk.RunConfig(endpoint=endpoint, **({"steady": False, "preflight": False} | fields | kw))


def ready(c: bk.RunConfig) -> Prepared:
    """What `prepare` makes of a config, without looking at this machine."""
    return Prepared(
        c,
        load_tokenizer(c.tokenizer),
        request_head(c.endpoint),
        datasets.load(c),
        secrets=tuple(c.endpoint.secrets()),
        levels=tuple(levels_of(c)),
    )


def source(c: bk.RunConfig, spend: TokenBudget | None = None, head: Head | None = None, **apart: Any) -> RequestSource:
    sampler = Sampler(c, parse_scenario(c.scenarios[0]), load_tokenizer(c.tokenizer), salt="s", stream="x")
    spend = spend or TokenBudget()
    spend.tally.begin(quota(c, OpenLoop(1.0) if "stride" in apart else ClosedLoop(1)))
    return RequestSource(c, sampler, head or Head("POST", "/", ()), "abc-000", spend, **apart)


def drawn(s: RequestSource) -> list[tuple[Request, HttpRequest]]:
    return list(iter(s, None))


def head_lines(**fields: Any) -> tuple[str, dict[str, str]]:
    head = request_head(bk.Endpoint(**({"url": URL} | fields)))
    assert head.encoded.endswith(b"\r\n")
    first, *lines = head.encoded.decode("latin-1").removesuffix("\r\n").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(headers) == len(lines), "a header stands twice"
    return first, headers


def number(value: object) -> float:
    """`value`, which must be an int or a float. The types of polars allow many more for a sum, a mean or an extreme."""
    assert isinstance(value, int | float), f"{value!r} is not a number"
    return value


def conductor(c: bk.RunConfig, folder: Path) -> RunController:
    run_folder = RunFolder(folder, durable=True)
    run_folder.create()
    return RunController(ready(c), run_folder, open_manifest(run_folder, ready(c)))
