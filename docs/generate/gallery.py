"""The gallery in docs/: `python -m docs.generate.gallery` draws every chart of bk.charts anew, from the frames that the tests use.

A chart is one entry of GALLERY: its file's name, the function that draws it, the code that a reader would write, and a hint.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import basetenkit as bk
from basetenkit.reporting import charts
from basetenkit.reporting.altair_renderer import describe, picture
from basetenkit.results.schema import CHUNK_SCHEMA
from tests.analysis.frames import Frames, failures, rows
from tests.analysis.saved import save

FOLDER = Path(__file__).parents[1] / "reference"
LEVELS = (1.0, 4.0, 16.0)


@cache
def sweep(factor: float = 1.0, seed: int = 4) -> Frames:
    """Three closed-loop levels of 240 requests: waiting grows with the load and with the input, and a few requests fail."""
    rng, n, parts = np.random.default_rng(seed), 240, []
    for level in LEVELS:
        tokens_in, tokens_out = rng.integers(50, 2000, n), rng.integers(12, 60, n)
        ttft = factor * (0.03 + tokens_in * 4e-5 + rng.gamma(3, 0.004 * level, n))
        e2e = ttft + tokens_out * (0.01 + 0.0006 * level) * factor
        start = np.sort(rng.uniform(0, float(e2e.sum()) / level, n))
        common: dict[str, Any] = {
            "scenario": "U(50,2000)/(12,60)",
            "level": level,
            "ttft_error_s": 0.0015,
            "e2e_error_s": 0.0015,
        }
        counted = {
            f"{w}_tokens_{a}": t
            for w, t in (("input", tokens_in), ("output", tokens_out))
            for a in ("target", "client")
        }
        counted |= {"input_tokens_server": tokens_in + 9, "output_tokens_server": tokens_out}
        ok = rows(
            n,
            request_id=[f"{level:g}-{i}" for i in range(n)],
            start_s=start,
            ttft_s=ttft,
            e2e_s=e2e,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            output_chunks=tokens_out - 2,
            **counted,
            **common,
        )
        bad = int(level) // 2
        again: dict[str, Any] = {
            "start_s": rng.uniform(0, start[-1], bad),
            "request_id": [f"{level:g}-bad{i}" for i in range(bad)],
        }
        parts += [ok, failures(bad, **common, **again, status=[(503, 429)[i % 2] for i in range(bad)])] if bad else [ok]
    frame = pl.concat(parts)
    return Frames(frame, _chunks(frame.filter(pl.col("outcome") == "ok"), rng))


def _chunks(ok: pl.DataFrame, rng: Any) -> pl.DataFrame:
    """Gaps that grow a little along the response."""
    parts = []
    for row in ok.iter_rows(named=True):
        n = row["output_chunks"]
        gap = rng.gamma(8, (row["e2e_s"] - row["ttft_s"]) / n / 8, n - 1) * np.linspace(0.8, 1.2, n - 1)
        at = row["ttft_s"] + np.concatenate([[0.0], np.cumsum(gap)])
        parts.append(pl.DataFrame({"request_id": [row["request_id"]] * n, "index": np.arange(n), "arrival_s": at}))
    frame = pl.concat(parts)
    lacking = [pl.lit(None).alias(name) for name in CHUNK_SCHEMA if name not in frame.columns]
    return frame.with_columns(lacking).select(pl.col(name).cast(kind) for name, kind in CHUNK_SCHEMA.items())


@cache
def hanging() -> Frames:
    """Two levels: at 4 in flight all requests end; at 16 some fail at once, some time out, and some hang until the level is cut."""
    rng, parts = np.random.default_rng(7), []
    for level, ends in (
        (4.0, ["ok"] * 240),
        (16.0, ["ok"] * 180 + ["http_error"] * 20 + ["timeout"] * 15 + ["cancelled"] * 25),
    ):
        took = rng.lognormal(-0.6, 0.4, 240)
        took[[e == "http_error" for e in ends]] *= 0.05
        took[[e == "timeout" for e in ends]] = 2.0
        took[[e == "cancelled" for e in ends]] = rng.uniform(0.5, 2.4, ends.count("cancelled"))
        start = np.sort(rng.uniform(0, 30, 240))
        parts.append(
            rows(
                240,
                level=level,
                outcome=ends,
                start_s=start,
                end_s=start + took,
                request_id=[f"{level:g}-{i}" for i in range(240)],
            )
        )
    return Frames(pl.concat(parts))


def from_three_places() -> Frames:
    """A level sent from three machines, of which one is far from the endpoint."""
    rng = np.random.default_rng(7)
    parts = []
    for host, away in (("frankfurt", 0.004), ("oregon", 0.090), ("virginia", 0.012)):
        ttft = away + rng.gamma(40, 0.004, 200)
        names = {"host": host, "worker": f"tcp://{host}:8786", "rtt_s": away}
        parts.append(
            rows(200, ttft_s=ttft, e2e_s=ttft + 0.4, level=24.0).with_columns(
                **{k: pl.lit(v) for k, v in names.items()}
            )
        )
    return Frames(pl.concat(parts))


def compared() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        pair = [
            save(Path(folder) / n, sweep(f, s).requests, at=at)
            for n, f, s, at in (("a", 1.0, 4, 1.7e9), ("b", 1.2, 5, 1.7001e9))
        ]
        return charts.comparison(bk.compare(*pair))


def dated() -> Any:
    """Sixteen runs, a day apart, of which the last six are slower."""
    rng = np.random.default_rng(6)
    with tempfile.TemporaryDirectory() as folder:
        for day in range(16):
            ttft = rng.gamma(40, 0.004 if day < 10 else 0.005, 60) * rng.normal(1, 0.02)
            save(Path(folder) / f"{day:02d}", rows(60, ttft_s=ttft, e2e_s=ttft + 0.4), at=1.7e9 + 86_400 * day)
        return charts.trend(folder)


GALLERY: dict[str, tuple[Callable[[], Any], str, str]] = {
    "latency_ecdf": (
        lambda: charts.latency_ecdf(sweep()),
        'charts.latency_ecdf(run, "ttft_s")',
        "One curve per level. Read a percentile off the left axis; a bar that ends in dots has no upper bound.",
    ),
    "latency_histogram": (
        lambda: charts.latency_histogram(sweep()),
        'charts.latency_histogram(run, "ttft_s")',
        "The same values as bars. Grey bands are the intervals of the percentiles; the band left of a line is the clock's error.",
    ),
    "inter_token": (
        lambda: charts.inter_token(sweep()),
        "charts.inter_token(run)",
        "How long readers wait between one piece of the answer and the next.",
    ),
    "itl_course": (
        lambda: charts.itl_course(sweep()),
        "charts.itl_course(run)",
        "Whether the answer slows down as it grows.",
    ),
    "ttft_by_input": (
        lambda: charts.ttft_by_input(sweep()),
        "charts.ttft_by_input(run)",
        "How much longer the first token takes with a longer prompt.",
    ),
    "waterfall": (
        lambda: charts.waterfall(sweep()),
        "charts.waterfall(run)",
        "Each bar is a request; its lighter part is the wait for the first token.",
    ),
    "activity": (
        lambda: charts.activity(sweep()),
        "charts.activity(run)",
        "Whether the load was steady while it was measured: the shaded stretch should be flat.",
    ),
    "explain_latency": (
        lambda: charts.explain_latency(sweep()),
        "charts.explain_latency(run)",
        "The parts of the time to first token: 1,000 prompt tokens, each other request in flight, and the rest.",
    ),
    "serving_curve": (
        lambda: charts.serving_curve(sweep()),
        'charts.serving_curve(run, "ttft_s", 50)',
        "How latency grows with throughput; the knee is the point at which the curve turns up.",
    ),
    "by_host": (
        lambda: charts.by_host(from_three_places()),
        'charts.by_host(run, "ttft_s")',
        "The same endpoint from several machines of a cluster; the grey tick is the time of the network alone.",
    ),
    "token_ledger": (
        lambda: charts.token_ledger(sweep()),
        "charts.token_ledger(run)",
        "If the four counts of a level differ, the server, the tokenizer or the scenario counts differently.",
    ),
    "outcome_bars": (
        lambda: charts.outcome_bars(sweep()),
        "charts.outcome_bars(run)",
        "How every request ended; only green ones succeeded.",
    ),
    "outcomes_over_time": (
        lambda: charts.outcomes_over_time(hanging()),
        "charts.outcomes_over_time(run)",
        "Which share of the requests had ended at each moment, and how. Grey requests still wait, to the end if a server hangs.",
    ),
    "error_shares": (
        lambda: charts.error_shares(sweep()),
        "charts.error_shares(run)",
        "Which failures come with more load.",
    ),
    "comparison": (
        compared,
        'charts.comparison(bk.compare("runs/a", "runs/b"))',
        "Ratios of two runs. If an interval contains 1, it shows no difference; if it does not, the cause may still be the day.",
    ),
    "trend": (
        dated,
        'charts.trend("runs")',
        "One figure over many runs, with the detected steps.",
    ),
}
# genai-bench's default plots in their order -> the arguments of serving_curve after the run, or None: error_shares.
GENAI_BENCH: dict[str, tuple[Any, ...] | None] = {
    "Output Inference Speed per Request vs Output Throughput of Server": ("output_inference_speed", "mean"),
    "TTFT vs Output Throughput of Server": ("ttft_s", "mean"),
    "Mean E2E Latency per Request vs RPS": ("e2e_s", "mean", "requests_per_s"),
    "Error Rates by HTTP Status vs Concurrency": None,
    "Output Inference Speed per Request vs Total Throughput (Input + Output) of Server": (
        "output_inference_speed",
        "mean",
        "total_tokens_per_s",
    ),
    "TTFT vs Total Throughput (Input + Output) of Server": ("ttft_s", "mean", "total_tokens_per_s"),
    "P90 E2E Latency per Request vs RPS": ("e2e_s", 90, "requests_per_s"),
    "P99 E2E Latency per Request vs RPS": ("e2e_s", 99, "requests_per_s"),
}


def counterpart(run: Any, arguments: tuple[Any, ...] | None) -> Any:
    return charts.error_shares(run) if arguments is None else charts.serving_curve(run, *arguments)


def page() -> str:
    """docs/reference/gallery.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Gallery\n\nEvery chart of `bk.charts`, drawn from generated data. `python -m docs.generate.gallery` draws them again."
    yield "\nCharts are white in a light and in a dark JupyterLab. Their colours are those of Okabe and Ito, which"
    yield "colour-blind readers can distinguish. In a notebook each chart has tooltips. If data are missing, the chart says which."
    for name, (_, code, words) in GALLERY.items():
        yield f"\n## {name}\n\n{words}\n\n```python\nbk.{code}\n```\n\n![{name}](gallery/{name}.png)"
    yield "\n## genai-bench's default plots\n\n| its plot | here |\n|---|---|"
    for title, arguments in GENAI_BENCH.items():
        inside = ", ".join(["run", *(repr(x) if isinstance(x, int) else f'"{x}"' for x in arguments or ())])
        yield f"| {title} | `bk.charts.{'error_shares' if arguments is None else 'serving_curve'}({inside})` |"


def draw(folder: Path) -> dict[str, str]:
    """Draws all pictures into `folder`; each name with the chart in words."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {}
    for name, (make, _, _) in GALLERY.items():
        spec = make().to_dict()
        (folder / f"{name}.png").write_bytes(picture(spec)[0])
        said[name] = describe(spec)
    return said


if __name__ == "__main__":
    draw(FOLDER / "gallery")
    (FOLDER / "gallery.md").write_text(page())
