"""A result folder of genai-bench -> a Run, so that its results can be compared, drawn and reported here.

It reads upstream's folders, those of Baseten's fork (decimal levels, the model in a file's name) and older ones. What they get
wrong is corrected if the file itself shows how, is null if it does not, and is reported in the run's findings. The command line
that such a folder keeps may hold the API key: of it only the URL and two flags are looked at, and none of it is kept.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import polars as pl

from ...config.coercions import as_path
from ...config.endpoint import Endpoint
from ...config.loads import ClosedLoop, OpenLoop
from ...config.run_config import RunConfig
from ...config.scenarios import parse_scenario
from ...config.tasks import TASKS
from ...core.errors import ConfigError, StoreError
from ...core.findings import Finding, finding
from ...core.secrets import redact
from ...core.types import JsonObject, NewRow
from ...results.manifest import LevelEntry, Manifest, Metadata
from ...results.pace import AT_ONCE_S
from ...results.schema import SCHEMA, STORED
from ...runs import Run
from .names import BEGINS, READ, SCALED

NO_URL = "http://not-recorded.invalid/"  # a name that can be nobody's (RFC 2606)
METADATA = "experiment_metadata.json"
_FILE = re.compile(r".+_(?:concurrency|batch_size)_[\d.]+_time_\d+s\.json")
FAKED_TTFT_S, FAKED_WITHIN_S = 0.001, 1e-6


@dataclass
class _File:
    """One file: a scenario at a level, its rows, and counts of the repairs to them."""

    name: str
    scenario: str
    level: float
    batch_size: int
    model: str
    document: JsonObject
    rows: list[NewRow] = field(default_factory=list)
    repaired: Counter[str] = field(default_factory=Counter)


def read_genai_bench(folder: str | Path, *, batch_size: int | None = None, model: str | None = None) -> Run:
    """Reads a result folder of genai-bench as a Run: its requests in our columns. Values that it did not record are null; see
    docs/reference/genai-bench.md.

    `batch_size`, `model`: which one to read if the folder has several. A Run has one model; each batch size of embeddings is a
    level, and its scenario contains the size, e.g. `E(64,8)`. genai-bench's own totals are in `run.metadata["genai_bench"]`,
    unchanged. StoreError if the folder is not from genai-bench, is damaged, or has several models; ConfigError if its task is
    not supported here.
    """
    path = as_path(folder, "read_genai_bench")
    about = _cleaned(_document(path / METADATA))
    files = _chosen(_files(path, about), {"model": model, "batch_size": batch_size}, path, about.get("task"))
    if len({f.batch_size for f in files}) > 1:
        for file in files:
            file.scenario = str(parse_scenario(file.scenario).in_batches(file.batch_size))
    words = _words(about.pop("cmd", None))
    rates = "--qps-level" in words or any(f.level != int(f.level) or _arrivals(f) for f in files)
    for file in files:
        _fill(file, OpenLoop.kind if rates else ClosedLoop.kind)
    config = _config(about, files, words, rates)
    metadata = Metadata(
        tokenizer=str(about.get("server_model_tokenizer") or "unknown"),
        timed_by="genai-bench",
        genai_bench={"metadata": about, "levels": [_totals(f) for f in files]},
        events=list(_events(files)),
    )
    manifest = Manifest(config=config.model_dump(mode="json"), metadata=metadata, levels=_levels(files, config))
    return Run.of_frames(manifest, pl.concat([pl.DataFrame(file.rows, schema=STORED) for file in files]))


def _document(path: Path) -> dict[str, object]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StoreError(f"{path.parent} is not a result folder of genai-bench: it has no {path.name}") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise StoreError(f"{path} is damaged: it is not JSON ({error})") from None
    if not isinstance(document, dict):
        raise StoreError(f"{path} is damaged: it holds no JSON object")
    return document


def _cleaned(about: JsonObject) -> NewRow:
    """Without values that may be secret, and with null for "None"."""
    kept = {k: v for k, v in redact(about).items() if k not in ("auth_config", "experiment_folder_name")}
    return {k: None if v == "None" else v for k, v in kept.items()}


def _words(command: object) -> list[str]:
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        words = str(command).split()
    return [re.sub(r"^--\w+", lambda m: m[0].replace("_", "-"), w) for w in words]  # older ones are written with _


def _files(path: Path, about: dict[str, object]) -> list[_File]:
    names = sorted(p for p in path.iterdir() if _FILE.fullmatch(p.name))
    if not names:
        raise StoreError(
            f"{path} contains no results of genai-bench: no file is named <scenario>_..._time_<seconds>s.json"
        )
    found = []
    for name in names:
        document = _document(name)
        totals, rows = document.get("aggregated_metrics"), document.get("individual_request_metrics")
        if (
            not isinstance(totals, dict)
            or not isinstance(totals.get("scenario"), str)
            or not isinstance(rows, list)
            or not all(isinstance(row, dict) for row in rows)
        ):
            raise StoreError(f"{name} is damaged: it has no aggregated_metrics with a scenario, or no requests")
        # the one place where the fork writes the model of a file is between its task and its level
        named = re.search(rf"_{re.escape(str(about.get('task')))}_(.*)_num_concurrency_", name.name)
        level, batch = float(totals.get("num_concurrency") or 1), int(totals.get("batch_size") or 1)
        found.append(_File(name.name, totals["scenario"], level, batch, named[1] if named else "", document))
    return sorted(found, key=lambda f: (f.scenario, f.level, f.batch_size))


def _chosen(files: list[_File], wanted: dict[str, object], path: Path, task: object) -> list[_File]:
    levels = ("batch_size",) if task == "text-to-embeddings" else ()
    for name, value in wanted.items():
        there = sorted({getattr(f, name) for f in files})
        if value is None and len(there) > 1 and name not in levels:
            raise StoreError(f"{path} has {name} {there}, but a run has one: give {name}={there[0]!r}")
        if value is not None and value not in there:
            raise StoreError(f"{path} has no {name} {value!r}; it has {there}")
        files = [f for f in files if value is None or getattr(f, name) == value]
    return files


def _arrivals(file: _File) -> bool:
    return file.document["aggregated_metrics"].get("total_arrivals") is not None


def _fill(file: _File, load: str) -> None:
    scale = 1e-3 if file.document.get("_time_unit") == "ms" else 1.0
    same = {"scenario": file.scenario, "load": load, "level": file.level, "repeat": 0, "phase": "measured"}
    same |= {"in_window": True, "clock": "user", "batch_size": file.batch_size}
    file.repaired["ms"] += scale != 1.0
    for at, theirs in enumerate(file.document["individual_request_metrics"]):
        row = same | {"request_id": f"{file.name.removesuffix('.json')}-{at}"}
        for name, ours in READ.items():
            value = theirs.get(name)
            if isinstance(value, int | float) and math.isfinite(value):
                row[ours] = value * scale if name in SCALED else int(value) if SCHEMA[ours] == pl.Int64 else value
        file.rows.append(row | _outcome(theirs, file, row))
    _repair(file)


def _outcome(theirs: JsonObject, file: _File, row: NewRow) -> NewRow:
    code, message = theirs.get("error_code"), theirs.get("error_message")
    told = str(message).strip() if message else None
    if code is None and row.get("e2e_s") is not None:
        if row.get("output_tokens") == 0 and "text-to-text" in file.name:
            file.repaired["empty"] += 1
            return {"outcome": "empty", "error_message": "genai-bench found no output token in the response"}
        return {"outcome": "ok"}
    said = {"error_message": told or f"error code {code}, without a message"}
    own = next((outcome for outcome, start in BEGINS.items() if (told or "").startswith(start)), None)
    if own is not None:
        return said | {"outcome": own}
    number = int(str(code)) if re.fullmatch(r"-?\d+", str(code)) else None
    if number is not None and 100 <= number <= 599:
        return said | {"outcome": "http_error", "status": number}
    if not number:
        file.repaired["zero"] += 1
        return said | {"outcome": "cancelled" if "cancel" in (told or "").lower() else "incomplete"}
    return said | {"outcome": "api_error"}


def _repair(file: _File) -> None:
    """Takes out what was not measured. Streaming is a folder's own setting, so a made-up TTFT is that of all its requests."""
    seen = [row["ttft_s"] for row in file.rows if row.get("ttft_s") is not None]
    faked = all(abs(ttft - FAKED_TTFT_S) < FAKED_WITHIN_S for ttft in seen)
    for row in file.rows:
        if "text-to-embeddings" in file.name:  # a vector has no first token; theirs is the whole latency
            row["ttft_s"] = row["tpot_s"] = None
        elif row.get("ttft_s") is not None and (faked or row["ttft_s"] <= 0):
            file.repaired["ttft"] += 1
            row["ttft_s"] = row["tpot_s"] = None
        if _at_once(row):
            row["tpot_s"] = None
        for name in ("reasoning_tokens", "dns_s", "connect_s", "tls_s"):  # 0 means unknown
            row[name] = row.get(name) or None


def _at_once(row: NewRow) -> bool:
    """Whether all tokens came at one moment: there is then no time that they were written in."""
    ttft, e2e = row.get("ttft_s"), row.get("e2e_s")
    return ttft is not None and e2e is not None and e2e - ttft <= AT_ONCE_S * (row.get("output_tokens") or 0)


def _config(about: JsonObject, files: list[_File], words: list[str], rates: bool) -> RunConfig:
    task = about.get("task")
    if task not in TASKS:
        raise ConfigError(f"the task of this folder, {task!r}, is not supported; it must be one of {', '.join(TASKS)}")
    url = next((b for a, b in pairwise(words) if a == "--api-base" and b.startswith("http")), NO_URL)
    ok = [row for f in files for row in f.rows if row["outcome"] == "ok"]
    streamed = not ok or any(row.get("ttft_s") is not None for row in ok)
    endpoint = Endpoint(url=url, model=about.get("api_model_name"), stream=streamed)
    levels = sorted({f.level for f in files})
    most = max(len(f.rows) for f in files)  # its limit is looked at once a second: more may have been sent
    given = {"dataset": about["dataset_path"]} if about.get("dataset_path") else {}
    return RunConfig(
        endpoint=endpoint,
        task=task,
        tokenizer=about.get("server_model_tokenizer"),
        scenarios=list(dict.fromkeys(f.document["aggregated_metrics"]["scenario"] for f in files)),
        concurrency=[] if rates else [int(x) for x in levels],
        request_rate=levels if rates else [],
        batch_size=sorted({f.batch_size for f in files}),
        max_requests=max(most, int(about.get("max_requests_per_run") or 1)),
        max_seconds=float(about.get("max_time_per_run_s") or 600),
        request_params=about.get("additional_request_params") or {},
        **given,
    )


def _levels(files: list[_File], config: RunConfig) -> list[LevelEntry]:
    load = OpenLoop.kind if config.request_rate else ClosedLoop.kind
    return [
        LevelEntry(index=i, scenario=f.scenario, load=load, level=f.level, repeat=0, done=True, sent=len(f.rows))
        for i, f in enumerate(files)
    ]


def _totals(file: _File) -> NewRow:
    return {k: v for k, v in file.document["aggregated_metrics"].items() if k != "stats"}


def _events(files: list[_File]) -> Iterator[Finding]:
    """The corrections, as findings."""
    for code in ("ms", "ttft", "empty", "zero"):
        if n := sum(f.repaired[code] for f in files):
            yield finding(f"genai_bench_{code}", n=n)
    wrong = 0
    lost = 0
    for file in files:
        totals = file.document["aggregated_metrics"]
        failed = sum(row["outcome"] != "ok" for row in file.rows)
        wrong += abs(float(totals.get("error_rate") or 0) - failed / max(len(file.rows), 1)) > FAKED_WITHIN_S
        lost += max(int(totals.get("num_requests") or 0) - len(file.rows), 0)
    if wrong:
        yield finding("genai_bench_error_rate", n=wrong, files=len(files))
    if lost:
        yield finding("genai_bench_lost", n=lost)
    yield finding("genai_bench", files=len(files))
