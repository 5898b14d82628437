"""The embedded endpoint: an emulated language-model server on 127.0.0.1, in a separate process.

It serves chat, completions, Baseten's predict forms and embeddings with the timing that you set, and it records the true times.
In a notebook or a test:

    with bk.emulator.serve(ttft_ms=50, itl_ms=20) as server:
        run = bk.run_sync(bk.RunConfig(endpoint=bk.Endpoint(url=server.url, model="emulated")))
        server.truth()["peak_in_flight"]

From a shell: `python -m basetenkit.emulator --port 8099 --ttft-ms 50 --itl-ms 20`. It accepts any key, unless `api_key` is
given. Its process is independent: it imports only the errors from the rest of the package.

With `batch_slots` it is a small engine model: prefill, decode steps, KV tokens, a prefix cache, replicas. The true capacity of
that model for an SLO is `true_capacity(...)`, or `python -m basetenkit.emulator --capacity ...`.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..core.errors import EmulatorError
from .words import JsonObject

if TYPE_CHECKING:
    from .virtual import TrueCapacity

START_WITHIN_S = 20.0


class Emulator:
    """A running embedded endpoint. `url` is its chat URL; `prompt_url`, `embeddings_url`, `base_url` the others; `ca_file` the
    authority of its certificate where it speaks TLS. Ends with `stop()`, at the end of its `with`, or with its parent."""

    def __init__(self, options: list[str], ca_folder: str | None = None) -> None:
        self._ca_folder = ca_folder
        # A file, not a pipe: nobody reads along, and a full pipe would stop the endpoint.
        self._said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed by stop()
        command = [sys.executable, "-m", "basetenkit.emulator", "--watch-stdin", *options]
        # Its own session: an interrupt of the notebook's kernel reaches all of its group, and must not end the endpoint.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True, start_new_session=True
        )
        self.base_url = self._started()
        self.url = f"{self.base_url}/v1/chat/completions"
        self.prompt_url = f"{self.base_url}/predict"
        self.embeddings_url = f"{self.base_url}/v1/embeddings"
        self.ca_file = None if ca_folder is None else str(Path(ca_folder) / "ca.pem")

    def _started(self) -> str:
        timer = threading.Timer(START_WITHIN_S, self.process.kill)
        timer.start()
        line = self.process.stdout.readline() if self.process.stdout is not None else ""
        timer.cancel()
        if not line.startswith("listening on "):
            self.process.kill()
            self.process.communicate()
            last = self._complaint().splitlines()[-1:] or [f"it printed nothing within {START_WITHIN_S:g} s"]
            self._clean()
            raise EmulatorError(f"the embedded endpoint did not start: {last[0]}")
        return line.removeprefix("listening on ").strip()

    def truth(self, reset: bool = False, writes: bool = False) -> JsonObject:
        """What really happened: `requests` (received_ns; first_write_ns, last_write_ns and, with `writes`, each token's write
        as [before, after]; all ns on CLOCK_MONOTONIC), `peak_in_flight`, the last `bodies`. `reset` forgets it afterwards."""
        query = "&".join(name for name, on in (("reset=1", reset), ("writes=1", writes)) if on)
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self.ca_file is not None:
            import ssl

            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.ca_file)))
        with urllib.request.build_opener(*handlers).open(f"{self.base_url}/truth?{query}", timeout=30) as response:
            return json.load(response)  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Ends the process; safe to call twice."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        if not self._said.closed and (complaint := self._complaint()):
            sys.stderr.write(f"the embedded endpoint: {complaint}\n")
        self._clean()

    def _complaint(self) -> str:
        self._said.seek(0)
        return self._said.read().strip()

    def _clean(self) -> None:
        self._said.close()
        if self._ca_folder is not None:
            shutil.rmtree(self._ca_folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Emulator {self.url}>"


def serve(*, port: int = 0, tls: bool = False, fail: dict[str, float] | None = None, **options: object) -> Emulator:
    """Starts an embedded endpoint and returns when it listens. Options are those of `python -m basetenkit.emulator`, with
    underscores: ttft_ms, itl_ms, jitter, batch_slope_ms, tail_ms, role_frame, tokens_per_chunk, output_tokens, stop_after,
    form, usage, stamp_frames, dimension, api_key, max_concurrency, seed, and those of the engine model (batch_slots,
    prefill_tokens_per_s, decode_ms, kv_tokens, prefix_cache_tokens, replicas, rate_limit, ...: see EngineOptions).
    `fail`: {"http_500": 0.05, ...}; `tls`: with a certificate made for it (needs trustme). EmulatorError if it does not
    start or does not know an option."""
    from .__main__ import arguments

    try:
        line = arguments(port=port, fail=fail or {}, **options)
    except TypeError as error:
        raise EmulatorError(str(error)) from None
    folder = _certificate() if tls else None
    if folder is not None:
        line += ["--certfile", f"{folder}/server.pem"]
    return Emulator(line, folder)


def true_capacity(
    *,
    slo: Mapping[str, float],
    goodput: float = 0.95,
    load: str = "request_rate",
    scenario: str = "D(100,100)",
    shared_prefix: int = 0,
    requests: int = 100_000,
    **options: Any,
) -> TrueCapacity:
    """The largest load at which the engine model keeps an SLO for `goodput` of its requests, from runs in virtual time.

    slo : limits in s, e.g. {"ttft_s": 0.5}, of ttft_s, tpot_s and e2e_s.
    load : "request_rate" (Poisson arrivals, per second) or "concurrency" (requests in flight).
    scenario, shared_prefix : the lengths as in a run, and tokens that all prompts begin with, on top.
    requests : per load; more make the answer more exact.
    options : those of `serve`, with `batch_slots`.
    Returns `load`, `above` (the first load that did not keep it), `share`, `share_error`, `tried`. ValueError for settings that
    cannot be.

    >>> bk.emulator.true_capacity(slo={"ttft_s": 0.5}, scenario="D(500,100)", batch_slots=32).load
    """
    from ..config.scenarios import parse_scenario
    from .options import Options
    from .virtual import RequestMix
    from .virtual import true_capacity as search

    made, shapes = Options(**options), parse_scenario(scenario)
    if not made.modelled:
        raise ValueError("the true capacity is known only for the engine model: give batch_slots, e.g. batch_slots=32")
    if load not in ("request_rate", "concurrency") or not 0 < goodput < 1 or requests < 100:
        raise ValueError("load is request_rate or concurrency, goodput a share between 0 and 1, requests at least 100")

    def lengths(rng: random.Random) -> tuple[int, int]:
        shape = shapes.sample(rng)
        return shape.input_tokens or 1, shape.output_tokens or made.output_tokens

    return search(made, RequestMix(lengths, shared_prefix), slo, goodput, load == "concurrency", requests)


def _certificate() -> str:
    """A folder with an authority (ca.pem) and a certificate of it for 127.0.0.1 and localhost (server.pem)."""
    try:
        import trustme
    except ImportError:
        raise EmulatorError(
            "serve(tls=True) makes a certificate with trustme, which is not installed: pip install trustme"
        ) from None
    folder = tempfile.mkdtemp(prefix="basetenkit-tls-")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(f"{folder}/ca.pem")
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(f"{folder}/server.pem")
    return folder
