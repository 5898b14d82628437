"""The case files beside: `NAME.body` holds a response's raw body bytes, `NAME.json` its status, headers and the right results.

Keys of the JSON: `status` (200), `headers`, `stream` (true), `chunks` (lengths of the reads, where they matter), `failure`
([outcome, sentence] of the transport), `args` (further arguments of parse_response), `expect`. In `expect`: names of
ParsedResponse's fields with their values; `events` as [text, kind]; `notes`, all codes of warnings there are; `message`
and `message2`, parts of the error's sentence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from basetenkit.core.types import Failure, Outcome
from basetenkit.parsing import ParsedResponse, parse_response

FOLDER = Path(__file__).with_name("cases")


@dataclass(frozen=True)
class Case:
    name: str
    body: bytes
    about: dict[str, Any]

    @property
    def expect(self) -> dict[str, Any]:
        return dict(self.about["expect"])

    @property
    def chunk_ends(self) -> list[int]:
        return list(accumulate(self.about.get("chunks", [])))

    @property
    def depends_on_reads(self) -> bool:
        """Plain-text streams: each read is an event."""
        return bool(self.about.get("chunks"))

    def parse(self, read_ends: Sequence[int] = (), body: bytes | None = None) -> ParsedResponse:
        about = self.about
        failure = about.get("failure")
        return parse_response(
            self.body if body is None else body,
            read_ends,
            status=about.get("status", 200),
            headers=list(about["headers"].items()),
            stream=about.get("stream", True),
            failure=Failure(Outcome(failure[0]), failure[1]) if failure else None,
            **about.get("args", {}),
        )


def load(name: str) -> Case:
    about = json.loads((FOLDER / f"{name}.json").read_text())
    return Case(name, (FOLDER / f"{name}.body").read_bytes(), about)


CASES = [load(path.stem) for path in sorted(FOLDER.glob("*.json"))]


def codes(parsed: ParsedResponse) -> list[str]:
    """The codes of the warnings, sorted; those that depend on how the bytes were split are left out."""
    return sorted({w.partition(":")[0] for w in parsed.warnings} - {"same_time"})


def differences(parsed: ParsedResponse, expect: dict[str, Any]) -> list[str]:
    """The differences from the case, in words."""
    found = {
        "events": [[t, k] for t, k in zip(parsed.event_texts, parsed.event_kinds, strict=True)],
        "event_count": len(parsed.event_texts),
        "notes": codes(parsed),
        "notes_whole": sorted({w.partition(":")[0] for w in parsed.warnings}),
        "dimensions": [len(vector) for vector in parsed.embeddings or []],
    }
    wrong = []
    for key, right in expect.items():
        if key in ("message", "message2"):
            if right not in (parsed.error_message or ""):
                wrong.append(f"{right!r} is not in {parsed.error_message!r}")
        elif key == "message_max":
            if len(parsed.error_message or "") > right:
                wrong.append("the error's sentence is too long")
        else:
            got = found[key] if key in found else getattr(parsed, key)
            right = sorted(right) if key.startswith("notes") else right
            if got != right:
                wrong.append(f"{key}: {got!r} is not {right!r}")
    return wrong
