"""What reading one event of a stream costs, beside what its JSON alone costs: `python tests/benchmarks/parse_cost.py`.

Both are measured in this process, turn by turn, on the same payloads, so that a busy machine slows both alike. It
prints the median of the turns and, of each, the span of its middle half. The figures are of CPU time of this thread.
The whole road is in ours: framing, splitting, JSON, dialect, columns, times of the reads, outcome and usage.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable

import orjson

from basetenkit.parsing import parse_response

HEADERS = [("content-type", "text/event-stream")]


def payloads(events: int) -> list[bytes]:
    """Chat chunks as vLLM writes them, each with another text, and the finish reason in the last."""
    head = {"id": "chatcmpl-5f3a9c1e", "object": "chat.completion.chunk", "created": 1760000000, "model": "a/model-8b"}
    chunks = []
    for i in range(events):
        choice = {"index": 0, "delta": {"content": f" word{i}"}, "logprobs": None, "finish_reason": None}
        if i == events - 1:
            choice["finish_reason"] = "length"
        chunks.append(orjson.dumps({**head, "choices": [choice]}))
    return chunks


def microseconds_an_event(work: Callable[[], object], events: int) -> float:
    start = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - start) / 1000 / events


def measure(events: int, repeats: int) -> tuple[list[float], list[float]]:
    """(ours, JSON alone): microseconds an event in each turn, the first turn, which warms up, left out."""
    chunks = payloads(events)
    messages = [b"data: " + chunk + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]
    body = b"".join(messages)
    ends: list[int] = []
    for message in messages:
        ends.append((ends[-1] if ends else 0) + len(message))

    def ours() -> None:
        parsed = parse_response(body, ends, headers=HEADERS)
        assert len(parsed.event_texts) == events, parsed.explain()

    def json_alone() -> None:
        loads = orjson.loads
        for chunk in chunks:
            loads(chunk)

    turns = []
    for _ in range(repeats + 1):
        gc.collect()
        turns.append((microseconds_an_event(ours, events), microseconds_an_event(json_alone, events)))
    return [a for a, _ in turns[1:]], [b for _, b in turns[1:]]


def line(name: str, values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{name:<14}{middle:8.3f} us an event   (middle half {low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=2000, help="events of the stream")
    parser.add_argument("--repeats", type=int, default=51, help="turns that count, at least 3")
    given = parser.parse_args()
    if given.events < 1 or given.repeats < 3:
        parser.error("--events must be at least 1 and --repeats at least 3")
    ours, json_alone = measure(given.events, given.repeats)
    print(f"{given.events} events a stream, median of {given.repeats} turns, CPU time")
    print(line("parse", ours))
    print(line("orjson.loads", json_alone))
    print(f"{'ratio':<14}{statistics.median(a / b for a, b in zip(ours, json_alone, strict=True)):8.2f}")


if __name__ == "__main__":
    main()
