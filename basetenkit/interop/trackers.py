"""A run in the tracker that a team uses: its configuration as parameters, its figures with their intervals, its report and charts.

Trackers are not dependencies: one is imported when it is asked for. A callable gets the same record and does with it what it likes.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..analysis import figures
from ..analysis.given import Given, as_run
from ..config.loads import LevelKey
from ..core.errors import ConfigError, StoreError
from ..reporting import charts
from ..reporting.html import report
from ..results.run_data import RunData

CHARTS = ("latency_ecdf", "serving_curve", "outcome_bars")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.]+")
_USER = re.compile(r"://[^/@\s]*@")  # of an address with a password
_PARAM_LENGTH = 500  # characters that MLflow takes


@dataclass(frozen=True)
class RunRecord:
    """What a tracker gets of a run.

    Attributes
    ----------
    name : the run's name: the last part of its folder, or its start time.
    params : the configuration by field, without secrets, each value as text.
    metrics : each figure by "level/figure", and the bounds of its 95% interval as "..._low" and "..._high". Times are in seconds.
    files : the report and charts; they are deleted when the call has ended.
    """

    name: str
    params: dict[str, str]
    metrics: dict[str, float]
    files: list[Path]


def log_run(run: Given, to: str | Callable[[RunRecord], None], *, name: str | None = None, **options: Any) -> None:
    """Log a run to an experiment tracker.

    Parameters
    ----------
    run : a Run, or the folder of a saved one.
    to : "mlflow" or "wandb", which must be installed, or a callable that takes a `RunRecord`. MLflow's address is that of its own
        settings, e.g. MLFLOW_TRACKING_URI. If an MLflow run is active, the record goes into it.
    name : the name in the tracker; default: the run's own.
    options : for `mlflow.start_run` or `wandb.init`.

    Raises
    ------
    ConfigError : `to` is none of these, or its package is not installed.
    StoreError : the folder is not a saved run, or the tracker did not take it.

    Examples
    --------
    >>> log_run(run, to=lambda record: print(record.metrics["D_20_5_at_concurrency_2/ttft_s_p50"]))  # doctest: +SKIP
    """
    data = as_run(run, "log_run")
    send = _sender(to, options)
    with tempfile.TemporaryDirectory(prefix="basetenkit-") as folder:
        send(record_of(data, Path(folder), name))


def _sender(to: str | Callable[[RunRecord], None], options: dict[str, Any]) -> Callable[[RunRecord], None]:
    if callable(to):
        if options:
            raise ConfigError(f"log_run: {', '.join(options)}: options are for a tracker, and `to` is a callable")
        return to
    senders = {"mlflow": _to_mlflow, "wandb": _to_wandb}
    if to not in senders:
        raise ConfigError(f"log_run: to={to!r} is not one of {', '.join(senders)}, and no callable")
    try:
        tracker = import_module(to)
    except ImportError:
        raise ConfigError(f"log_run: the package {to} is not installed: pip install {to}") from None

    def send(record: RunRecord) -> None:
        try:
            senders[to](tracker, record, options)
        except Exception as error:  # any of a package that is not ours
            raise StoreError(
                f"{to} did not take the run {record.name} ({_first_line(error)}); the run itself is unchanged: call again"
            ) from error

    return send


def _first_line(error: Exception) -> str:
    text = _USER.sub("://", str(error).strip().partition("\n")[0])[:300].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def record_of(run: RunData, folder: Path, name: str | None = None) -> RunRecord:
    """The record of a run; its files are written to `folder`."""
    files = [report(run, folder / "report.html")]
    for chart in CHARTS:
        getattr(charts, chart)(run).save(str(folder / f"{chart}.html"))
        files.append(folder / f"{chart}.html")
    return RunRecord(name or _name(run), _params(run), _metrics(run), files)


def _name(run: RunData) -> str:
    at = run.manifest.metadata.started_at
    if run.path is not None:
        return run.path.name
    from datetime import UTC, datetime

    return "basetenkit" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y%m%d-%H%M%S}"


def _params(run: RunData) -> dict[str, str]:
    flat: dict[str, str] = {}
    for field, value in run.manifest.config.items():
        inner = value if isinstance(value, dict) and field == "endpoint" else {"": value}
        for key, one in inner.items():
            if one not in (None, "", [], {}):
                flat[f"{field}.{key}".rstrip(".")] = str(one)[:_PARAM_LENGTH]
    return flat


def _metrics(run: RunData) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in figures.metrics(run).iter_rows(named=True):
        level = _UNSAFE.sub("_", str(LevelKey.of(row))).strip("_")
        for end, column in (("", "value"), ("_low", "low"), ("_high", "high")):
            if row[column] is not None:
                found[f"{level}/{row['metric']}{end}"] = float(row[column])
    return found


def _to_mlflow(mlflow: Any, record: RunRecord, options: dict[str, Any]) -> None:
    nested = {"nested": True} if mlflow.active_run() is not None else {}
    with mlflow.start_run(**{"run_name": record.name, **nested, **options}):
        mlflow.log_params(record.params)
        mlflow.log_metrics(record.metrics)
        for file in record.files:
            mlflow.log_artifact(str(file))


def _to_wandb(wandb: Any, record: RunRecord, options: dict[str, Any]) -> None:
    with wandb.init(**{"name": record.name, "config": record.params, **options}) as run:
        run.summary.update(record.metrics)
        artifact = wandb.Artifact("report", type="report")
        for file in record.files:
            artifact.add_file(str(file))
        run.log_artifact(artifact)
