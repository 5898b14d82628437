"""basetenkit measures language-model endpoints on Baseten, and any OpenAI-compatible one, from JupyterLab.

    import basetenkit as bk
    config = bk.RunConfig(endpoint=bk.Endpoint(url="http://127.0.0.1:8099/v1/chat/completions", model="m"))
    run = await bk.run(config)

Names are loaded when first used, so that importing the package costs nearly nothing.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING

from .core.version import __version__

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent until the caller sets logging up
import_module(f"{__name__}.execution.forking")  # its hook must be there before the first fork; it is light

if TYPE_CHECKING:
    from . import emulator
    from .analysis.break_even import BreakEven, break_even
    from .analysis.comparison import Comparison, compare
    from .analysis.expected import Plan, plan
    from .analysis.gates import Judgement, check_gates, judge
    from .analysis.history import history
    from .analysis.noise_floor import Noise
    from .config.budget import Budget
    from .config.endpoint import Endpoint
    from .config.price import Price
    from .config.run_config import RunConfig
    from .core import errors
    from .core.findings import Finding
    from .interop.baseten_card import BasetenCard, baseten_card, card_config
    from .interop.genai_bench.flags import config_from_command
    from .interop.genai_bench.reading import read_genai_bench
    from .interop.genai_bench.writing import write_genai_bench
    from .interop.trackers import log_run
    from .notebook.form.form import RunForm
    from .notebook.live.capacity_view import CapacityView
    from .notebook.workbench.workbench import ResponseWorkbench
    from .parsing import parse
    from .reporting import charts
    from .reporting.html import report
    from .reporting.trends import Trends, trends
    from .results.parser_case import ParserCase
    from .runs import Run
    from .session import LiveRun, last_run, load, run, run_sync, start
    from .storage.address import Storage
    from .studies.calibrate import Calibration, calibrate
    from .studies.capacity import capacity, capacity_sync
    from .studies.capacity_control import SearchControl
    from .studies.capacity_result import Capacity
    from .studies.comparing import compare_endpoints, compare_endpoints_sync
    from .studies.comparing_result import EndpointComparison
    from .studies.design import Design, design
    from .studies.noise import noise, noise_sync
    from .studies.preflight import preflight
    from .transport.timed_transport import TimedTransport

# public name -> the module it lives in; "" where the name is the module itself
_HOMES = {
    "BasetenCard": "interop.baseten_card",
    "BreakEven": "analysis.break_even",
    "Budget": "config.budget",
    "Calibration": "studies.calibrate",
    "Capacity": "studies.capacity_result",
    "CapacityView": "notebook.live.capacity_view",
    "SearchControl": "studies.capacity_control",
    "Comparison": "analysis.comparison",
    "Design": "studies.design",
    "Endpoint": "config.endpoint",
    "EndpointComparison": "studies.comparing_result",
    "Finding": "core.findings",
    "Judgement": "analysis.gates",
    "LiveRun": "session",
    "Noise": "analysis.noise_floor",
    "ParserCase": "results.parser_case",
    "Plan": "analysis.expected",
    "Price": "config.price",
    "ResponseWorkbench": "notebook.workbench.workbench",
    "Run": "runs",
    "RunConfig": "config.run_config",
    "RunForm": "notebook.form.form",
    "Storage": "storage.address",
    "TimedTransport": "transport.timed_transport",
    "Trends": "reporting.trends",
    "baseten_card": "interop.baseten_card",
    "break_even": "analysis.break_even",
    "calibrate": "studies.calibrate",
    "capacity": "studies.capacity",
    "capacity_sync": "studies.capacity",
    "card_config": "interop.baseten_card",
    "charts": "reporting",
    "check_gates": "analysis.gates",
    "compare": "analysis.comparison",
    "compare_endpoints": "studies.comparing",
    "compare_endpoints_sync": "studies.comparing",
    "config_from_command": "interop.genai_bench.flags",
    "design": "studies.design",
    "emulator": "",
    "errors": "core",
    "history": "analysis.history",
    "judge": "analysis.gates",
    "last_run": "session",
    "load": "session",
    "log_run": "interop.trackers",
    "noise": "studies.noise",
    "noise_sync": "studies.noise",
    "parse": "parsing",
    "plan": "analysis.expected",
    "preflight": "studies.preflight",
    "read_genai_bench": "interop.genai_bench.reading",
    "report": "reporting.html",
    "run": "session",
    "run_sync": "session",
    "start": "session",
    "trends": "reporting.trends",
    "write_genai_bench": "interop.genai_bench.writing",
}

_MODULES = ("charts", "emulator", "errors")

__all__ = [
    "BasetenCard",
    "BreakEven",
    "Budget",
    "Calibration",
    "Capacity",
    "CapacityView",
    "Comparison",
    "Design",
    "Endpoint",
    "EndpointComparison",
    "Finding",
    "Judgement",
    "LiveRun",
    "Noise",
    "ParserCase",
    "Plan",
    "Price",
    "ResponseWorkbench",
    "Run",
    "RunConfig",
    "RunForm",
    "SearchControl",
    "Storage",
    "TimedTransport",
    "Trends",
    "__version__",
    "baseten_card",
    "break_even",
    "calibrate",
    "capacity",
    "capacity_sync",
    "card_config",
    "charts",
    "check_gates",
    "compare",
    "compare_endpoints",
    "compare_endpoints_sync",
    "config_from_command",
    "design",
    "emulator",
    "errors",
    "history",
    "judge",
    "last_run",
    "load",
    "log_run",
    "noise",
    "noise_sync",
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


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    if name in _MODULES:
        value: object = import_module(f"{__name__}.{home}.{name}" if home else f"{__name__}.{name}")
    else:
        value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_HOMES))


def load_ipython_extension(shell: object) -> None:
    """`%load_ext basetenkit`: makes `%genai_bench benchmark ...` known, in a line and in a cell."""
    import_module(f"{__name__}.notebook.magic").register(shell)
