"""The tasks: what a request asks for. One `Task` per task, listed in `TASKS`, with everything that depends on the task alone.

`BUILDERS` in `workload/payload.py` build the JSON body of a task; a scenario's class lists its tasks.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """`route`: the path behind /v1 on an OpenAI-compatible server; `probe`: the scenario of one small request; `generates`: the
    response is text that a model writes token by token, so it can be streamed, and a request has one input; `bare_prompt`:
    whether the prompt format can hold everything that is sent."""

    name: str
    route: str
    probe: str
    generates: bool = True
    bare_prompt: bool = False


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("text-to-text", "/chat/completions", "D(16,8)", bare_prompt=True),
        Task("image-text-to-text", "/chat/completions", "I(64,64)"),
        Task("text-to-embeddings", "/embeddings", "E(16)", generates=False),
    )
}
