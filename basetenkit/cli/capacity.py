"""`basetenkit capacity`: the largest load that meets an SLO."""

from __future__ import annotations

import shlex
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

import basetenkit as bk

from ..core.progress import plain
from ..core.types import JsonObject
from ..studies.capacity_control import SearchControl
from .capacity_screen import CapacityScreen
from .console import AsJson, OnCluster, Pricing, Quiet, print_json
from .measure import FAILED, INTERRUPTED, limits, prices


def _in(text: str, metavar: str | None = None) -> object:
    return typer.Option(rich_help_panel="Search", help=text, metavar=metavar)


_Slo = Annotated[list[str], _in("A limit, e.g. ttft=0.5; repeat it for several.", "NAME=SECONDS")]
_Share = Annotated[float, _in("The share of requests that must be within every limit.")]
_Load = Annotated[str, _in("request_rate or concurrency.")]
_Precision = Annotated[float, _in("How narrow the interval must be: 0.1 stops when high / low is below about 1.2.")]
_Minutes = Annotated[float | None, _in("Budget in minutes. [default: 30]")]
_Requests = Annotated[float | None, _in("Budget in requests.")]
_Tokens = Annotated[float | None, _in("Budget in tokens.")]
_Usd = Annotated[float | None, _in("Budget in US dollars; needs --price.")]
_Save = Annotated[Path | None, _in("A folder, here or s3://, gs://, az://; a search in it continues.")]


def capacity(
    ctx: typer.Context,
    slo: _Slo,
    goodput: _Share = 0.95,
    load: _Load = "request_rate",
    precision: _Precision = 0.1,
    budget_minutes: _Minutes = None,
    budget_requests: _Requests = None,
    budget_tokens: _Tokens = None,
    budget_usd: _Usd = None,
    save_to: _Save = None,
    price: Pricing = None,
    cluster: OnCluster = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Search for the largest load that meets an SLO.

    Takes genai-bench's flags for the endpoint and the requests, as `benchmark` does. Exit code 1 if the interval did not become as
    narrow as requested. Ctrl-C stops the search; the answer then comes from the blocks so far.

    \b
    For example:
    basetenkit capacity --api-base URL --api-model-name NAME --traffic-scenario "D(100,100)" \\
      --slo ttft=0.5 --goodput 0.95 --budget-minutes 30 --save-to capacity/first
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        config = bk.config_from_command(shlex.join(["genai-bench", "benchmark", *ctx.args])).with_whole_url()
    config = config.with_(price=prices(price)) if price else config
    given = {"minutes": budget_minutes, "requests": budget_requests, "tokens": budget_tokens, "usd": budget_usd}
    budget = {name: value for name, value in given.items() if value is not None}
    control = SearchControl()
    try:
        with CapacityScreen(control, hidden=quiet):
            found = bk.capacity_sync(
                config,
                slo=limits(slo),
                goodput=goodput,
                load=load,
                precision=precision,
                budget=budget or None,
                save_to=save_to,
                control=control,
                cluster=cluster,
            )
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json(_document(found))
    elif not quiet:
        sys.stdout.write(plain(repr(found)) + "\n")
    raise typer.Exit(INTERRUPTED if control.stopped else 0 if found.resolved else FAILED)


def _document(found: bk.Capacity) -> JsonObject:
    names = ("outcome", "value", "low", "high", "resolved", "certificate", "goodput", "slo", "load", "design_effect")
    more = ("sentence", "caveats", "more_requests", "usd_per_million_output_tokens")
    return {**{name: getattr(found, name) for name in (*names, *more)}, "blocks": found.frame.to_dicts()}
