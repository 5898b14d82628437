"""Ours and its peers on one server that records the truth: the figures of each, the true ones, and the cost.

    python tests/benchmarks/versus.py install      genai-bench, GuideLLM, AIPerf and LLMeter, each in its own venv
    python tests/benchmarks/versus.py run --in-flight 64 256

Each tool sends the same load (streamed chat, prompts of 100 tokens, 100 tokens out) to an embedded endpoint of its own turn:
first token after 50 ms, then one each 20 ms. The endpoint notes when each request came and when each token was written. It
prints for each tool its own p50 and p99 beside those of the requests it sent: the difference is the tool's error, network of
this machine included (some 0.05 ms). CPU is that of the tool's whole
process tree, memory that of its largest process;
"beside" is wall time in which no request was in flight. All share this machine's cores with the server, so the table is for
comparing within one run; a tool that cannot be installed or fails is shown with its error.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

import basetenkit as bk

HOME = Path(os.environ.get("BASETENKIT_PEERS", "~/.cache/basetenkit/peers")).expanduser()
PEERS = {
    "genai-bench": ["genai-bench"],
    "guidellm": ["guidellm"],
    "aiperf": ["aiperf"],
    "llmeter": ["llmeter", "openai", "httpx"],
}
TOKENS = 100
Figures = dict[str, float]

OURS = """
import sys, json, basetenkit as bk
url, users, requests = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
endpoint = bk.Endpoint(url=url, model="m", auth_scheme="none")
run = bk.run_sync(bk.RunConfig(steady=False,
    preflight=False, endpoint=endpoint, scenarios="D(100,100)", concurrency=users, max_requests=requests))
rows = run.requests.filter(run.requests["outcome"] == "ok")
print(json.dumps({f"{m}_p{p}": rows[f"{m}_s"].quantile(p / 100, "nearest") * 1e3 for m in ("ttft", "e2e") for p in (50, 99)}))
"""

LLMETER = """
import asyncio, json, sys
from llmeter.endpoints import OpenAICompletionStreamEndpoint
from llmeter.runner import Runner
url, users, each = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
endpoint = OpenAICompletionStreamEndpoint(model_id="m", api_key="x", base_url=url, max_retries=0)
payload = endpoint.create_payload("measure " * 100, max_tokens=100)
run = Runner(endpoint).run(payload=payload, clients=users, n_requests=each, disable_clients_progress_bar=True,
                           disable_per_client_progress_bar=True)
s = asyncio.run(run).stats
names = {"ttft": "time_to_first_token", "e2e": "time_to_last_token"}
print(json.dumps({f"{m}_p{p}": s[f"{n}-p{p}"] * 1e3 for m, n in names.items() for p in (50, 99)}))
"""


def last_line(out: str, _folder: Path) -> Figures:
    last = out.strip().splitlines()[-1]
    found: Figures = json.loads(last[last.index("{") :])
    return found


def from_genai_bench(_out: str, folder: Path) -> Figures:
    (path,) = folder.glob("gb/r/D*.json")
    stats = json.loads(path.read_text())["aggregated_metrics"]["stats"]
    names = {"ttft": "ttft", "e2e": "e2e_latency"}
    return {f"{m}_p{p}": stats[n][f"p{p}"] * 1e3 for m, n in names.items() for p in (50, 99)}


def from_guidellm(_out: str, folder: Path) -> Figures:
    metrics = json.loads((folder / "gl.json").read_text())["benchmarks"][0]["metrics"]
    names = {"ttft": ("time_to_first_token_ms", 1), "e2e": ("request_latency", 1000)}
    return {
        f"{m}_p{p}": metrics[n]["successful"]["percentiles"][f"p{p}"] * scale
        for m, (n, scale) in names.items()
        for p in (50, 99)
    }


def from_aiperf(_out: str, folder: Path) -> Figures:
    said = json.loads((folder / "ai" / "profile_export_aiperf.json").read_text())
    names = {"ttft": "time_to_first_token", "e2e": "request_latency"}
    return {f"{m}_p{p}": said[n][f"p{p}"] for m, n in names.items() for p in (50, 99)}


def tool(
    name: str, server: bk.emulator.Emulator, users: int, requests: int, folder: Path
) -> tuple[list[str], Callable[[str, Path], Figures]]:
    """(its command line, how to read what it said)."""
    bin_, base, tok = HOME / name / "bin", server.base_url, str(folder / "tokenizer")
    if name == "basetenkit":
        return [sys.executable, "-c", OURS, server.url, str(users), str(requests)], last_line
    if name == "llmeter":
        return [str(bin_ / "python"), "-c", LLMETER, f"{base}/v1", str(users), str(requests // users)], last_line
    if name == "genai-bench":
        options = f"--api-backend openai --api-base {base} --api-key x --api-model-name m --task text-to-text"
        options += f" --traffic-scenario D(100,100) --num-concurrency {users} --max-requests-per-run {requests}"
        options += " --max-time-per-run 10 --experiment-folder-name r"
        return [
            str(bin_ / name),
            "benchmark",
            *options.split(),
            "--model-tokenizer",
            tok,
            "--experiment-base-dir",
            str(folder / "gb"),
        ], from_genai_bench
    if name == "guidellm":
        options = f"--backend kind=openai_http,target={base},model=m --profile kind=concurrent,streams={users}"
        options += f" --constraint kind=max_requests,count={requests}"
        options += " --data kind=synthetic_text,prompt_tokens=100,output_tokens=100"
        options += (
            f" --tokenizer kind=hf_auto,model={tok} --output kind=json,path={folder / 'gl.json'} --disable-console"
        )
        return [str(bin_ / name), "run", *options.split()], from_guidellm
    options = (
        f"--model m --url {base} --endpoint-type chat --streaming --concurrency {users} --request-count {requests}"
    )
    options += f" --isl 100 --osl 100 --tokenizer {tok} --artifact-dir {folder / 'ai'} --ui simple"
    return [str(bin_ / name), "profile", *options.split()], from_aiperf


def truth(server: bk.emulator.Emulator) -> Figures:
    """Percentiles of what happened to the requests that came, ms, and from the first to the last of them, s."""
    rows = [r for r in server.truth()["requests"] if r["last_write_ns"] and r["tokens"] >= TOKENS]
    received = np.array([r["received_ns"] for r in rows])
    times = {
        "ttft": np.array([r["first_write_ns"][0] for r in rows]),
        "e2e": np.array([r["last_write_ns"][0] for r in rows]),
    }
    out = {
        f"{m}_p{p}": float(np.percentile(at - received, p, method="nearest") / 1e6)
        for m, at in times.items()
        for p in (50, 99)
    }
    return out | {"n": len(rows), "busy_s": float((times["e2e"].max() - received.min()) / 1e9)}


def measure(name: str, users: int, requests: int) -> dict[str, Any]:
    """One tool against one server: its figures less the truth's, and its cost."""
    with tempfile.TemporaryDirectory() as temporary, bk.emulator.serve(ttft_ms=50, itl_ms=20) as server:
        folder = Path(temporary)
        save_tokenizer(folder / "tokenizer")
        command, reader = tool(name, server, users, requests, folder)
        out, start = folder / "out.txt", time.monotonic()
        if not Path(command[0]).exists():
            return {"tool": name, "in flight": users, "error": why_missing(name)}
        with out.open("w") as stream:
            child = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, cwd=folder)
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall, text = time.monotonic() - start, out.read_text(errors="replace")
        try:
            said, true = reader(text, folder), truth(server)
        except (OSError, ValueError, KeyError, IndexError) as error:
            return {
                "tool": name,
                "in flight": users,
                "error": f"exit {child.returncode}: {text.strip()[-200:] or error}",
            }
    cpu = usage.ru_utime + usage.ru_stime
    row: dict[str, Any] = {"tool": name, "in flight": users, "requests": true["n"]}
    for key in (f"{m}_p{p}" for m in ("ttft", "e2e") for p in (50, 99)):
        title = key.upper().replace("_P", " p")
        row |= {f"{title} said": said[key], "true " + title: true[key], f"{title} off": said[key] - true[key]}
    return row | {
        "µs a token": cpu / (true["n"] * TOKENS) * 1e6,
        "MB": usage.ru_maxrss / 1024,
        "wall s": wall,
        "beside s": wall - true["busy_s"],
    }


def save_tokenizer(folder: Path) -> None:
    """The embedded tokenizer where transformers finds it."""
    folder.mkdir()
    shutil.copy(Path(bk.__file__).parent / "workload" / "data" / "tokenizer.json", folder)
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 100000}'
    )


def install() -> None:
    for name, packages in PEERS.items():
        subprocess.run([sys.executable, "-m", "venv", str(HOME / name)], check=True)
        pip = [str(HOME / name / "bin" / "pip"), "install", "-q", *packages]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        failed = HOME / name / "error.txt"
        failed.unlink(missing_ok=True)
        if done.returncode:
            failed.write_text((done.stderr.strip().splitlines() or ["no message"])[-1])
        print(name, why_missing(name) if done.returncode else "installed")


def why_missing(name: str) -> str:
    """Why a peer is not there, in one line."""
    failed = HOME / name / "error.txt"
    return f"pip failed: {failed.read_text()}" if failed.exists() else "not installed: run `versus.py install`"


def versions() -> dict[str, str]:
    out = {"basetenkit": bk.__version__}
    for name in PEERS:
        code = f"import importlib.metadata as m; print(m.version({name!r}))"
        python = HOME / name / "bin" / "python"
        if python.exists():
            done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
            out[name] = done.stdout.strip()
        if not out.get(name):
            out[name] = why_missing(name)
    return out


def show(rows: list[dict[str, Any]]) -> None:
    """As a table in Markdown: errors of times in ms."""
    heads = sorted(dict.fromkeys(key for row in rows for key in row), key="error".__eq__)
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        cells = [f"{v:,.2f}" if isinstance(v, float) else str(v) for v in (row.get(head, "") for head in heads)]
        print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=["install", "run"])
    parser.add_argument("--in-flight", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--each", type=int, default=4, help="requests for each one in flight")
    parser.add_argument("--tools", nargs="+", default=["basetenkit", *PEERS])
    options = parser.parse_args()
    if options.what == "install":
        install()
        return
    print(
        f"{date.today()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    show([measure(name, users, users * options.each) for users in options.in_flight for name in options.tools])


if __name__ == "__main__":
    main()
