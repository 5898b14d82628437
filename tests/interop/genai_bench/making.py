"""Result folders as genai-bench writes them, in the shapes of its versions; the numbers are ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

METADATA = {
    "cmd": "genai-bench --api-base https://models.example.org/v1 --api-key planted-4711 --task text-to-text",
    "benchmark_version": "0.0.2",
    "api_backend": "openai",
    "auth_config": {"api_key": "planted-4711"},
    "api_model_name": "m",
    "server_model_tokenizer": "some/tokenizer",
    "model": "m",
    "task": "text-to-text",
    "num_concurrency": [2],
    "batch_size": [1],
    "iteration_type": "num_concurrency",
    "traffic_scenario": ["D(20,5)"],
    "additional_request_params": {"temperature": 0.5},
    "server_engine": None,
    "max_time_per_run_s": 60,
    "max_requests_per_run": 2,
    "experiment_folder_name": "somewhere",
    "metrics_time_unit": "s",
    "dataset_path": "None",
}


def request(ttft: float = 0.2, e2e: float = 1.0, tokens: int = 5, **more: Any) -> dict[str, Any]:
    """A success; times in s."""
    tpot = (e2e - ttft) / (tokens - 1) if tokens > 1 else None
    row = {"ttft": ttft, "tpot": tpot, "e2e_latency": e2e, "output_latency": e2e - ttft}
    counts = {"num_input_tokens": 20, "num_output_tokens": tokens, "total_tokens": 20 + tokens}
    return row | counts | {"error_code": None, "error_message": None} | more


def failure(code: Any, message: str | None) -> dict[str, Any]:
    return dict.fromkeys(request()) | {"error_code": code, "error_message": message}


def totals(requests: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """As genai-bench has it: an error rate of 0 whatever happened."""
    failed = sum(r["error_code"] is not None for r in requests)
    counts = {
        "num_requests": len(requests),
        "num_error_requests": failed,
        "num_completed_requests": len(requests) - failed,
    }
    same = {"scenario": "D(20,5)", "num_concurrency": 2, "batch_size": 1, "iteration_type": "num_concurrency"}
    return same | {"run_duration": 3.0, "requests_per_second": 1.5, "error_rate": 0, "stats": {}} | counts | more


def write(folder: Path, name: str, requests: list[dict[str, Any]], unit: str | None = "s", **more: Any) -> None:
    """One file, and the metadata where there is none yet."""
    document: dict[str, Any] = {"aggregated_metrics": totals(requests, **more), "individual_request_metrics": requests}
    if unit is not None:
        document["_time_unit"] = unit
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(document))
    if not (folder / "experiment_metadata.json").exists():
        metadata(folder)


def metadata(folder: Path, **more: Any) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "experiment_metadata.json").write_text(json.dumps(METADATA | more))
