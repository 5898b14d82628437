"""basetenkit measures language-model endpoints on Baseten, and any OpenAI-compatible one, from JupyterLab.

    import basetenkit as bk
    config = bk.RunConfig(endpoint=bk.Endpoint(url="http://127.0.0.1:8099/v1/chat/completions", model="m"))
    run = await bk.run(config)

Names are loaded when first used, so that importing the package costs nearly nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

import_module(f"{__name__}.forking")  # its hook must be there before the first fork; it is light

if TYPE_CHECKING:
    from . import emulator, errors
    from .analysis import charts
    from .analysis.comparison import Comparison, compare
    from .analysis.expected import Plan, plan
    from .analysis.gates import Judgement, judge
    from .analysis.history import history
    from .analysis.report import report
    from .analysis.trends import Trends, trends
    from .cases import ParserCase
    from .config import RunConfig
    from .endpoint import Endpoint
    from .engine.transport import TimedTransport
    from .findings import Finding
    from .genai_bench.flags import config_from_command
    from .genai_bench.reading import read_genai_bench
    from .genai_bench.writing import write_genai_bench
    from .parsing import parse
    from .results import Run
    from .runs import LiveRun, last_run, load, run, run_sync, start
    from .studies.calibrate import Calibration, calibrate
    from .studies.comparing import EndpointComparison, compare_endpoints, compare_endpoints_sync
    from .studies.preflight import preflight
    from .widgets.form import RunForm
    from .widgets.workbench import ResponseWorkbench

# public name -> the module it lives in; "" where the name is the module itself
_HOMES = {
    "Calibration": "studies.calibrate",
    "Comparison": "analysis.comparison",
    "Endpoint": "endpoint",
    "EndpointComparison": "studies.comparing",
    "Finding": "findings",
    "Judgement": "analysis.gates",
    "LiveRun": "runs",
    "ParserCase": "cases",
    "Plan": "analysis.expected",
    "ResponseWorkbench": "widgets.workbench",
    "Run": "results",
    "RunConfig": "config",
    "RunForm": "widgets.form",
    "TimedTransport": "engine.transport",
    "Trends": "analysis.trends",
    "calibrate": "studies.calibrate",
    "charts": "analysis",
    "compare": "analysis.comparison",
    "compare_endpoints": "studies.comparing",
    "compare_endpoints_sync": "studies.comparing",
    "config_from_command": "genai_bench.flags",
    "emulator": "",
    "errors": "",
    "history": "analysis.history",
    "judge": "analysis.gates",
    "last_run": "runs",
    "load": "runs",
    "parse": "parsing",
    "plan": "analysis.expected",
    "preflight": "studies.preflight",
    "read_genai_bench": "genai_bench.reading",
    "report": "analysis.report",
    "run": "runs",
    "run_sync": "runs",
    "start": "runs",
    "trends": "analysis.trends",
    "write_genai_bench": "genai_bench.writing",
}

__all__ = [
    "Calibration",
    "Comparison",
    "Endpoint",
    "EndpointComparison",
    "Finding",
    "Judgement",
    "LiveRun",
    "ParserCase",
    "Plan",
    "ResponseWorkbench",
    "Run",
    "RunConfig",
    "RunForm",
    "TimedTransport",
    "Trends",
    "__version__",
    "calibrate",
    "charts",
    "compare",
    "compare_endpoints",
    "compare_endpoints_sync",
    "config_from_command",
    "emulator",
    "errors",
    "history",
    "judge",
    "last_run",
    "load",
    "parse",
    "plan",
    "preflight",
    "read_genai_bench",
    "report",
    "run",
    "run_sync",
    "start",
    "trends",
    "write_genai_bench",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    if home in ("", "analysis"):
        value: Any = import_module(f"{__name__}.{home}.{name}" if home else f"{__name__}.{name}")
    else:
        value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_HOMES))


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext basetenkit`: makes `%genai_bench benchmark ...` known, in a line and in a cell."""
    import_module(f"{__name__}.genai_bench.magic").register(shell)
