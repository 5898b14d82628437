"""`python -m basetenkit.emulator`: the embedded endpoint from a shell. Its flags are made from `Options`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import gc
import os
import signal
import ssl
import sys
import threading
from typing import Any

from .engine_options import ENGINE_HELP
from .options import FAILURES, FORMS, Options
from .server import Server

HELP = {
    "ttft_ms": "milliseconds from a request's arrival to its first token",
    "itl_ms": "milliseconds between tokens",
    "jitter": "coefficient of variation of both (lognormal)",
    "batch_slope_ms": "milliseconds more of TTFT for each other request in flight",
    "tail_ms": "milliseconds from the last token to finish, usage and [DONE]",
    "role_frame": "send a role-only message at once, as most engines do",
    "tokens_per_chunk": "output tokens in one message",
    "output_tokens": "output tokens where the request sets no limit",
    "stop_after": "tokens after which the model stops by itself, unless the request says ignore_eos; 0: never",
    "form": f"the JSON form of predict: {', '.join(FORMS)}",
    "usage": "report token usage",
    "stamp_frames": "put each message's write time (monotonic ns) into it",
    "dimension": "of embeddings",
    "api_key": "accept this key only",
    "max_concurrency": "requests worked on at once, others wait; 0: no limit",
    "fail": f"failures and their shares, e.g. http_500:0.05,reset:0.01; of {', '.join(FAILURES)}",
    "seed": "of all that is drawn",
} | ENGINE_HELP
CAPACITY_FLAGS = ("capacity", "slo", "goodput", "load", "scenario", "shared_prefix", "requests")


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        "python -m basetenkit.emulator", description="A language model's endpoint without the model."
    )
    out.add_argument("--port", type=int, default=8099, help="on 127.0.0.1; 0: any free one")
    out.add_argument("--certfile", help="speak TLS with this certificate and key (PEM)")
    out.add_argument("--keyfile", help="the key, where it is not in --certfile")
    out.add_argument("--watch-stdin", action="store_true", help="end when standard input ends")
    for field in dataclasses.fields(Options):
        flag, default = f"--{field.name.replace('_', '-')}", field.default
        if field.name == "fail":
            out.add_argument(flag, type=_shares, default={}, help=HELP["fail"], metavar="KIND:SHARE,...")
        elif isinstance(default, bool):
            out.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=HELP[field.name])
        elif field.name == "form":
            out.add_argument(flag, choices=FORMS, default=default, help=HELP["form"])
        else:
            out.add_argument(
                flag, type=str if default is None else type(default), default=default, help=HELP[field.name]
            )
    _add_capacity(out.add_argument_group("the true capacity of the engine model, from long runs in virtual time"))
    return out


def _add_capacity(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--capacity", action="store_true", help="print it and end; needs --batch-slots and --slo")
    group.add_argument("--slo", action="append", type=_limit, metavar="NAME=SECONDS", help="a limit: ttft, tpot or e2e")
    group.add_argument("--goodput", type=float, default=0.95, help="the share of requests that must keep every limit")
    group.add_argument("--load", choices=("request_rate", "concurrency"), default="request_rate", help="the unit")
    group.add_argument("--scenario", default="D(100,100)", help="prompt and output tokens, as in a run")
    group.add_argument("--shared-prefix", type=int, default=0, help="tokens that all prompts begin with, on top")
    group.add_argument("--requests", type=int, default=100_000, help="requests in virtual time at each load")


def _limit(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return f"{name.removesuffix('_s')}_s", float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} needs a name and seconds, e.g. ttft=0.5") from None


def _shares(text: str) -> dict[str, float]:
    out = {}
    for part in filter(None, text.split(",")):
        kind, _, share = part.partition(":")
        if kind not in FAILURES:
            raise argparse.ArgumentTypeError(f"there is no failure {kind!r}; there are {', '.join(FAILURES)}")
        try:
            out[kind] = float(share)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{part!r} needs a share from 0 to 1, e.g. {kind}:0.05") from None
    return out


def arguments(port: int, fail: dict[str, float], **options: object) -> list[str]:
    """The command line for `options`; TypeError for one that does not exist."""
    known = {f.name for f in dataclasses.fields(Options)} - {"fail"}
    if unknown := sorted(set(options) - known):
        raise TypeError(f"the emulator has no option {unknown[0]!r}; it has {', '.join(sorted(known))}")
    line = ["--port", str(port)]
    if fail:
        line += ["--fail", ",".join(f"{kind}:{share}" for kind, share in fail.items())]
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            line.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            line += [f"--{flag}", str(value)]
    return line


def main(argv: list[str] | None = None) -> int:
    args = vars(parser().parse_args(argv))
    port, certfile, keyfile, watch = (args.pop(n) for n in ("port", "certfile", "keyfile", "watch_stdin"))
    asked = {name: args.pop(name) for name in CAPACITY_FLAGS}
    tls = None
    try:
        options = Options(**args)
        if asked["capacity"]:
            sys.stdout.write(_true_capacity(options, asked))
            return 0
        if certfile:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certfile, keyfile)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"the certificate {certfile} cannot be used: {error.strerror or error}\n")
        return 1
    # Keep existing objects; collections that scan them repeatedly would delay tokens.
    gc.freeze()
    try:
        asyncio.run(serve_until_stopped(options, port, tls, watch))
    except (OSError, OverflowError) as error:
        sys.stderr.write(
            f"the emulator cannot listen on 127.0.0.1:{port}: {getattr(error, 'strerror', None) or error}\n"
        )
        return 1
    return 0


def _true_capacity(options: Options, asked: dict[str, Any]) -> str:
    """The answer and the share at each load that was tried. ValueError for settings that cannot be."""
    from . import true_capacity

    found = true_capacity(
        slo=dict(asked["slo"] or []),
        **{name: asked[name] for name in CAPACITY_FLAGS if name not in ("capacity", "slo")},
        **dataclasses.asdict(options),
    )
    tried = (f"  {load:10.4g}  {share:8.2%}" for load, share in found.tried)
    return "\n".join([str(found), f"  {'load':>10}  {'good':>8}", *tried]) + "\n"


async def serve_until_stopped(options: Options, port: int, tls: ssl.SSLContext | None, watch_stdin: bool) -> None:
    """Serves until SIGTERM or SIGINT, or until standard input ends: so it never outlives the process that started it."""
    server, stop = Server(options, port, tls), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        if sys.platform != "win32":
            loop.add_signal_handler(number, stop.set)
    if watch_stdin:

        def watch() -> None:
            # Not sys.stdin: at its end the interpreter wants the lock that a read of it holds, and aborts.
            while os.read(0, 4096):
                pass
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=watch, daemon=True).start()
    scheme = "http" if tls is None else "https"
    base = f"{scheme}://127.0.0.1:{server.port}"
    sys.stdout.write(f"listening on {base}\n{_guide(base)}")
    sys.stdout.flush()
    await stop.wait()
    server.close()


def _guide(base: str) -> str:
    """Where what is, and a request to try."""
    routes = ("/v1/chat/completions", "/v1/completions", "/predict", "/v1/embeddings", "/v1/models", "/truth")
    payload = '{"messages": [{"role": "user", "content": "hello"}], "max_tokens": 8, "stream": true}'
    insecure = " --insecure" if base.startswith("https") else ""
    lines = ["  " + "  ".join(routes), f"  curl -N{insecure} {base}{routes[0]} -d '{payload}'"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
