"""One run from the command line: the plan, a question before a large run, the screen during the run, and the output at its
end."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import basetenkit as bk

from ..config.endpoint import LOOPBACK
from ..core.errors import ConfigError
from ..core.progress import plain
from ..core.tables import show
from ..results.bucket_run import NOT_UPLOADED
from ..results.store import RunFolder
from ..storage.address import Place, Storage, as_place
from ..storage.spool import spool_of
from .console import Traffic, print_json
from .screen import Screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..analysis.expected import Plan
    from ..config.run_config import RunConfig
    from ..runs import Run
    from ..session import LiveRun

FAILED, USAGE, INTERRUPTED = 1, 2, 130
WAIT_S = 0.25
ASK_MINUTES, ASK_TOKENS = 10, 1_000_000  # a run that may take more is asked about first


def measure(
    config: RunConfig,
    folder: Place,
    *,
    goodput: float,
    as_json: bool = False,
    quiet: bool = False,
    yes: bool = False,
    chosen_for_you: str = "",
    cluster: str | None = None,
) -> int:
    """Run a config, print its end, and return the exit code. `chosen_for_you`: what the command left open, in words; `yes`: ask
    nothing; `cluster`: as in `bk.run`."""
    debug = os.environ.get("LOG_LEVEL", "").upper() == "DEBUG"
    config = config.with_(capture="all") if debug else config
    if not _agreed(config, quiet or as_json, yes, chosen_for_you):
        return INTERRUPTED
    place = as_place(folder, "--save-to")
    here = spool_of(place) if isinstance(place, Storage) else place
    traffic = Traffic(RunFolder(here), config.endpoint.url) if debug else None
    live = bk.start(config, save_to=place, cluster=cluster)
    nothing_to_do = live.progress["levels_done"] == live.progress["levels"]
    interrupted = _wait(live, quiet, traffic)
    run = live.result()
    if traffic is not None:
        traffic.show_new()
    missed = _missed(run, goodput)
    _show(run, str(place), missed, as_json, quiet)
    if nothing_to_do and not quiet:
        sys.stderr.write(f"basetenkit: nothing was sent: every level is already in {place}\n")
    return INTERRUPTED if interrupted else FAILED if missed else 0


def _agreed(config: RunConfig, quiet: bool, yes: bool, chosen_for_you: str) -> bool:
    """Writes the plan to standard error; a person at a terminal is asked about a run that is large or that nobody asked for."""
    plan = bk.plan(config)
    if not quiet:
        sys.stderr.write(f"{plain(plan_line(plan))}\n")
        sys.stderr.writelines(f"basetenkit: {plain(text)}\n" for text in plan.warnings)
    if chosen_for_you and not quiet:
        sys.stderr.write(f"basetenkit: {chosen_for_you}\n")
    paid = config.endpoint.host not in LOOPBACK
    large = paid and (plan.minutes > ASK_MINUTES or (plan.tokens or 0) > ASK_TOKENS)
    person = sys.stdin.isatty() and sys.stderr.isatty()
    if yes or quiet or not person or not (large or chosen_for_you):
        return True
    return typer.confirm("Send these requests?", err=True)


def plan_line(plan: Plan) -> str:
    """The plan in one line: levels, requests, tokens, minutes, dollars and the URL, as far as they are known."""
    parts = [f"{show(len(plan.levels))} level(s)", f"{show(plan.requests)} requests at most"]
    parts.append("tokens not known beforehand" if plan.tokens is None else f"about {show(plan.tokens)} tokens")
    parts.append(f"{plan.minutes:.3g} minutes at most")
    if plan.usd is None:
        parts.append(f"dollars unknown ({plan.reasons['usd']})")
    else:
        origin = f" ({plan.price.origin})" if plan.price is not None else ""
        parts.append(f"about {plan.usd:,.2f} dollars{origin}")
    return f"plan: {', '.join(parts)}" + ("" if plan.url is None else f", to {plan.url}")


def _wait(live: LiveRun, quiet: bool, traffic: Traffic | None) -> bool:
    """Waits for the end with a screen on the terminal; True if an interrupt stopped the run, which is then complete in its
    folder."""
    try:
        with Screen(live, hidden=quiet or traffic is not None) as screen:
            while not live.done:
                time.sleep(WAIT_S)
                if traffic is not None:
                    traffic.show_new()
                screen.show()
    except KeyboardInterrupt:
        live.stop("the run was interrupted")
        live.result()
        return True
    return False


def _missed(run: Run, goodput: float) -> list[str]:
    """Why gates failed, one sentence each. A goodput that could not be measured counts as missed."""
    from ..analysis import gates

    rows = run.requests
    if not ((rows["outcome"] == "ok") & (rows["phase"] == "measured")).any():
        return ["No request was ok."]
    amiss = [one.sentence for one in run.findings if one.code == NOT_UPLOADED]
    return amiss + [gate.sentence for gate in gates.slo(run, goodput) if gate.verdict == gates.FAIL]


def _show(run: Run, folder: str, missed: list[str], as_json: bool, quiet: bool) -> None:
    if as_json:
        found = [{"code": f.code, "sentence": f.sentence, "cure": f.cure} for f in run.findings]
        frames = {"summary": run.summary_wide.to_dicts(), "fates": run.fates.to_dicts()}
        verdict = {"verdict": str(run.verdict), "status": run.verdict.status, "findings": found, "missed": missed}
        print_json({"folder": folder, "complete": run.complete, "usd": run.usd, **verdict, **frames})
    elif not quiet:
        from .ending import show_end

        show_end(run, folder, missed)


def limits(texts: Sequence[str]) -> dict[str, str]:
    """The values of --slo: "ttft=0.5" -> {"ttft": "0.5"}. ConfigError if one has no value."""
    pairs = dict(pair.partition("=")[::2] for pair in texts)
    if not all(pairs.values()):
        raise ConfigError(f"--slo: {' '.join(texts)!r} is not NAME=SECONDS, e.g. --slo ttft=0.5")
    return pairs


def prices(texts: Sequence[str]) -> dict[str, str]:
    """The values of --price: "usd_per_minute=0.1" -> {"usd_per_minute": "0.1"}. ConfigError if one has no value."""
    pairs = dict(pair.partition("=")[::2] for pair in texts)
    if not all(pairs.values()):
        raise ConfigError(f"--price: {' '.join(texts)!r} is not NAME=VALUE, e.g. --price usd_per_minute=0.1")
    return pairs


def new_folder(base: Path | Storage | None = None, name: str | None = None) -> Path | Storage:
    """A run's folder: as named, or in runs/ after its start time."""
    return (base or Path("." if name else "runs")) / (name or time.strftime("%Y%m%d-%H%M%S"))
