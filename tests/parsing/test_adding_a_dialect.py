"""CONTRIBUTING.md shows how to add a dialect; what it shows is taken from there, put in, and read with."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from basetenkit.core.types import Outcome
from basetenkit.parsing import ParsedResponse, parse
from basetenkit.parsing.collector import Collector
from basetenkit.parsing.dialects import READERS, Reader

GUIDE = Path(__file__).parents[2] / "CONTRIBUTING.md"
SSE = {"content-type": "text/event-stream"}


def section() -> str:
    return GUIDE.read_text(encoding="utf-8").partition("## Adding a dialect\n")[2].partition("\n## ")[0]


def source() -> str:
    (block,) = re.findall(r"```python\n(.*?)```", section(), re.DOTALL)
    return str(block)


def streams() -> list[bytes]:
    """The two messages that the section says the server sends."""
    found = re.findall(r"`(data: \{.*?\})`", section())
    return [message.encode() + b"\n\n" for message in found]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    path = tmp_path_factory.mktemp("dialects") / "parrot.py"
    path.write_text(source(), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("parrot", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    reader: Reader = module.read_parrot
    return reader


@pytest.fixture
def registered(read: Reader) -> Iterator[Reader]:
    """The dialect in its place: before the one that takes nearly anything."""
    before = dict(READERS)
    last, own_keys = list(before.items())[-1]
    READERS.clear()
    READERS.update({**{k: v for k, v in before.items() if k != last}, "Parrot": read, last: own_keys})
    yield read
    READERS.clear()
    READERS.update(before)


def the_stream(*before: bytes) -> ParsedResponse:
    first, last = streams()
    return parse([first, *before, last], headers=SSE)


@pytest.mark.usefixtures("registered")
def test_the_example_reads_what_the_section_says_the_server_sends() -> None:
    first, last = streams()
    parsed = the_stream(first.replace(b'"he"', b'"llo"'))
    assert (parsed.outcome, parsed.text, parsed.finish_reason) == (Outcome.OK, "hello", "full")
    assert (parsed.prompt_tokens, parsed.completion_tokens) == (5, 2)
    assert parsed.event_texts == ["he", "llo"]
    assert (parsed.event_starts, parsed.event_reads) == ([0, len(first)], [0, 1])
    assert "dialect: Parrot  [bytes 0-" in parsed.explain()
    assert last.startswith(b'data: {"squawk": null')


@pytest.mark.usefixtures("registered")
def test_the_example_reads_a_whole_document() -> None:
    body = b'{"squawk": {"say": "hello"}, "nap": "full"}'
    parsed = parse(body, headers={"content-type": "application/json"}, stream=False)
    assert (parsed.outcome, parsed.text, parsed.finish_reason) == (Outcome.OK, "hello", "full")


@pytest.mark.usefixtures("registered")
def test_what_its_comments_say_is_so() -> None:
    first, last = streams()
    assert parse([first, first], headers=SSE).outcome is Outcome.INCOMPLETE  # `finished` was never said
    empty = parse([first.replace(b'"he"', b'""'), first, last], headers=SSE)
    assert (empty.event_texts, empty.event_reads) == (["he"], [1])
    assert parse([last], headers=SSE).outcome is Outcome.EMPTY


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, {"say": 7}, [{"say": "a"}], True])
def test_the_example_raises_over_nothing(read: Reader, value: object) -> None:
    out = Collector(b"{}")
    for key in ("squawk", "nap", "spent"):
        assert read({"squawk": value, key: value}, out, 0, 2) is True
    assert out.texts == []
    untouched = Collector(b"{}")
    assert read({"nap": value, "spent": value}, untouched, 0, 2) is False
    assert (untouched.texts, untouched.opened, untouched.usage, untouched.finish_reason) == ([], False, None, None)


def test_without_its_dialect_the_stream_cannot_be_read() -> None:
    assert "Parrot" not in READERS
    parsed = the_stream()
    assert parsed.outcome is Outcome.MALFORMED
    assert "squawk" in (parsed.error_message or "")


def test_the_example_keeps_the_house_rules(tmp_path: Path) -> None:
    path = tmp_path / "parrot.py"
    path.write_text(source(), encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--config", str(GUIDE.with_name("pyproject.toml")), "--no-cache", str(path)]
    for command in ([*ruff, "check", *config], [*ruff, "format", "--check", *config]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
