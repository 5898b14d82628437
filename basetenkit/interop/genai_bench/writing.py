"""A Run -> a result folder that genai-bench's own `excel` and `plot` commands can read.

Its figures follow genai-bench's definitions and cover the measured requests: throughput is over the whole level, ramp and drain
included. If that tool would write a value that was not measured (an error rate of 0, a TTFT of 1 ms), the folder has the true
value, or null. `names` is the table. The folder contains neither the key nor the URL.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

from ...analysis.given import refuse_pending
from ...config.coercions import as_path
from ...config.scenarios import parse_scenario
from ...core.errors import ConfigError, StoreError
from ...core.types import JsonObject, NewRow
from ...core.version import __version__
from ...results.store import write_whole
from ...runs import Run
from .names import BEGINS, REQUEST, STATS
from .reading import METADATA

PERCENTILES = (25, 50, 75, 90, 95, 99)
# the code of a failure without an HTTP status, as genai-bench numbers them
CODES = {"timeout": 408, "connection_error": 503, "api_error": -1}
OTHER = 500


def write_genai_bench(run: Run, folder: str | Path) -> Path:
    """Writes the run as genai-bench's folder and returns its path: its metadata, and one file per scenario and level.

    The warm-up, and requests that were cut when their level ended, are left out, because genai-bench does not count them.
    Requests per second are written as num_concurrency, as in Baseten's fork; upstream reads only whole numbers of them.
    ConfigError if `run` is not a Run, has both kinds of load, or has several batch sizes and several loads. StoreError if the
    folder is not new or empty, or cannot be written; then no file remains.
    """
    refuse_pending(run)
    if not isinstance(run, Run):
        raise ConfigError(f"write_genai_bench takes a Run, not {type(run).__name__}; a saved one is bk.load(folder)")
    config = run.config
    if config.concurrency and config.request_rate:
        raise ConfigError(
            "the run has levels of concurrency and of request_rate; a genai-bench folder can have only one kind"
        )
    if len(config.batch_size) > 1 and _over(run) != "batch_size":
        raise ConfigError(
            f"the run has batch sizes {config.batch_size} at other loads than concurrency=[1]; genai-bench varies one of the two"
        )
    rows = run.requests.filter((pl.col("phase") == "measured") & (pl.col("outcome") != "cancelled"))
    files = {}
    for (scenario, level), part in rows.group_by("scenario", "level", maintain_order=True):
        document = _document(run, str(scenario), float(str(level)), part)
        files[_name(document["aggregated_metrics"], config.task)] = document
    files[METADATA] = _metadata(run)
    target = as_path(folder, "write_genai_bench")
    _write(target, files)
    return target


def _write(target: Path, files: dict[str, NewRow]) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(f"{target} exists and is not empty; give a new folder")
    beside = target.with_name(f".{target.name}.new")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        for name, document in files.items():
            write_whole(beside / name, json.dumps(document, indent=4, allow_nan=False).encode(), durable=False)
        if target.exists():
            target.rmdir()
        beside.rename(target)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise StoreError(f"the folder {target} cannot be written: {error.strerror or error}") from None


def _name(totals: JsonObject, task: str) -> str:
    scenario = totals["scenario"].replace("/", "_").replace(",", "_").replace("(", "").replace(")", "")
    over = totals["iteration_type"]
    return f"{scenario}_{task}_{over}_{totals[over]}_time_{int(totals['run_duration'])}s.json"


def _over(run: Run) -> str:
    """What genai-bench would have gone over: batch sizes, where the one level of an embeddings run is one at a time."""
    embeddings = run.config.task == "text-to-embeddings"
    return "batch_size" if embeddings and run.config.concurrency == [1] else "num_concurrency"


def _whole(level: float) -> int | float:
    return int(level) if level == int(level) else level


def _metadata(run: Run) -> NewRow:
    config = run.config
    about = run.metadata.get("genai_bench", {}).get("metadata", {})  # its own, if the run was read from there
    kept = ("server_engine", "server_version", "server_gpu_type", "server_gpu_count")
    model = config.endpoint.model or "unknown"
    return {
        "cmd": "basetenkit: bk.write_genai_bench",
        "benchmark_version": f"basetenkit {__version__}",
        "api_backend": "baseten" if config.endpoint.on_baseten else "openai",
        "auth_config": {},
        "api_model_name": model,
        "server_model_tokenizer": run.metadata["tokenizer"],
        "model": about.get("model") or model,
        "task": config.task,
        "num_concurrency": [_whole(x) for x in [*config.concurrency, *config.request_rate]],
        "batch_size": config.batch_size,
        "iteration_type": _over(run),
        "traffic_scenario": config.scenarios,
        "additional_request_params": config.model_dump(mode="json")["request_params"],
        **{name: about.get(name) for name in kept},
        "max_time_per_run_s": int(config.max_seconds),
        "max_requests_per_run": max(run.planned["planned"].to_list(), default=0),
        "experiment_folder_name": "",
        "metrics_time_unit": "s",
        "dataset_path": config.dataset if isinstance(config.dataset, str) else None,
    }


def _document(run: Run, scenario: str, level: float, rows: pl.DataFrame) -> NewRow:
    """One file: totals, statistics of the successes, and each request."""
    requests = rows.select(**{name.theirs: name.expression for name in REQUEST})
    codes = [_code(row) for row in rows.select("outcome", "status").iter_rows(named=True)]
    ok = rows["outcome"] == "ok"
    said = [_message(row) for row in rows.select("outcome", "error_message").iter_rows(named=True)]
    single = [
        row | {"error_code": code, "error_message": None}
        if code is None
        else dict.fromkeys(row) | {"error_code": code, "error_message": message}
        for row, code, message in zip(requests.to_dicts(), codes, said, strict=True)
    ]
    totals = {
        "scenario": _theirs(run, scenario),
        "num_concurrency": _whole(level),
        "batch_size": _batch(run, rows),
        "iteration_type": _over(run),
        **_rates(run, (_theirs(run, scenario), level, _batch(run, rows)), rows, rows.filter(ok)),
        "error_codes_frequency": {str(k): n for k, n in Counter(c for c in codes if c is not None).items()},
        "error_rate": float((~ok).mean() or 0),  # type: ignore[arg-type]
        "num_error_requests": int((~ok).sum()),
        "num_completed_requests": int(ok.sum()),
        "num_requests": rows.height,
        "stats": {name.theirs: _stats(requests.filter(ok)[name.theirs]) for name in STATS},
    }
    return {"aggregated_metrics": totals, "individual_request_metrics": single, "_time_unit": "s"}


def _code(row: NewRow) -> int | None:
    if row["outcome"] == "ok":
        return None
    if row["outcome"] == "http_error" and row["status"] is not None:
        return int(row["status"])
    return CODES.get(row["outcome"], OTHER)


def _message(row: NewRow) -> str:
    """The message, with a beginning from which the reader learns the outcome of the request."""
    message = str(row["error_message"] or "")
    begin = BEGINS.get(row["outcome"], "")
    return message if message.startswith(begin) else begin + message


def _theirs(run: Run, scenario: str) -> str:
    """A level's scenario as genai-bench writes it: the batch size that identifies this run's levels is a separate field there."""
    return str(parse_scenario(scenario).in_batches(None)) if len(run.config.batch_size) > 1 else scenario


def _batch(run: Run, rows: pl.DataFrame) -> int:
    sizes = rows["batch_size"].drop_nulls().unique()
    return int(sizes[0]) if len(sizes) == 1 else run.config.batch_size[0]


def _rates(run: Run, key: tuple[str, float, int], rows: pl.DataFrame, ok: pl.DataFrame) -> NewRow:
    """Over the time from the first request's start to the last one's end, of each repeat; as the folder had them if it was
    read from genai-bench, which keeps no such times. `key`: the level's scenario, load and batch size as in that file."""
    names = ("mean_output_throughput_tokens_per_s", "mean_input_throughput_tokens_per_s")
    total, a_second = "mean_total_tokens_throughput_tokens_per_s", "requests_per_second"
    for said in run.metadata.get("genai_bench", {}).get("levels", []):
        known = said["scenario"], float(said["num_concurrency"] or 1), int(said.get("batch_size") or 1)
        if known == key and "run_duration" in said:
            return {name: said[name] for name in ("run_duration", *names, total, a_second) if name in said}
    spans = rows.group_by("repeat").agg(pl.col("end_s").max() - pl.col("start_s").min())["end_s"]
    seconds = float(spans.sum())
    if not seconds:
        return {"run_duration": 0.0}  # its model needs a number, and uses 0 for a missing one
    tokens = [float(ok[name].sum()) / seconds for name in ("output_tokens", "input_tokens")]
    rates = dict(itertools.chain(zip(names, tokens, strict=True), [(total, sum(tokens))]))
    return {"run_duration": seconds, **rates, a_second: ok.height / seconds}


def _stats(values: pl.Series) -> dict[str, float | None]:
    x = values.drop_nulls().to_numpy().astype(float)
    names = ("min", "max", "mean", "stddev", "sum", *(f"p{p}" for p in PERCENTILES))
    if not len(x):
        return dict.fromkeys(names)
    figures = [x.min(), x.max(), x.mean(), x.std(), x.sum(), *np.percentile(x, PERCENTILES)]
    return {name: float(figure) for name, figure in zip(names, figures, strict=True)}
