"""A worker as its parent sees it: what it said, and how it was lost."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from basetenkit.execution.processes.handle import Member, WorkerHandle


def nothing(_member: Member, _say: str, _content: dict[str, Any], _frames: list[pl.DataFrame]) -> None:
    """Nobody cares for rows here."""


async def made() -> WorkerHandle:
    return WorkerHandle(0, asyncio.get_running_loop(), nothing)


async def gone(member: WorkerHandle) -> str | None:
    """Why it is no more; a word that no worker says is waited for until then."""
    assert await member.wait_for("no such word", 30) is None
    return member.lost


def test_one_that_is_killed_is_said_to_be_by_what() -> None:
    async def main() -> str | None:
        member = await made()
        os.kill(member.pid, signal.SIGKILL)
        lost = await gone(member)
        member.send("stop", stop=None)  # and nothing happens
        member.close()
        return lost

    assert asyncio.run(main()) == "killed by SIGKILL"


def test_one_that_cannot_even_begin_is_told_by_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['orjson'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def main() -> str | None:
        member = await made()
        lost = await gone(member)
        member.close()
        return lost

    assert (asyncio.run(main()) or "").startswith("ModuleNotFoundError: import of orjson halted")


def test_one_that_fails_at_what_it_was_told_is_ended_and_told_by_its_sentence() -> None:
    async def main() -> str | None:
        member = await made()
        member.send("hello", run="nobody knows this", part=0)
        assert await member.wait_for("ready", 30) is None
        member.close()
        return member.lost

    assert "has no attribute 'config'" in (asyncio.run(main()) or "")


def test_one_that_is_closed_is_not_lost_and_is_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_API_KEY", "planted-key-6626")

    async def main() -> tuple[str | None, int, bytes]:
        member = await made()
        assert await member.wait_for("ready", 0.5) is None  # it was told nothing and says nothing
        environment = await asyncio.to_thread(Path(f"/proc/{member.pid}/environ").read_bytes)
        await asyncio.to_thread(member.close)
        await asyncio.sleep(0)
        return member.lost, member.pid, environment

    lost, pid, environment = asyncio.run(main())
    assert lost is None
    assert not Path(f"/proc/{pid}").exists()
    assert b"PYTHONPATH" in environment
    assert b"planted-key-6626" not in environment
