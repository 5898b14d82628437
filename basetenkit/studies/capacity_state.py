"""What a search for a capacity has done and spent so far: saved after each block, so that a killed search resumes there."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from ..config.budget import Budget
from ..config.loads import OpenLoop
from ..config.run_config import RunConfig
from ..core.errors import ConfigError, StoreError
from ..core.types import JsonObject
from ..results.documents import read_document, write_document
from ..storage.address import Storage
from .capacity_blocks import BlockRecord

FILE, VERSION = "capacity.json", 1


@dataclass
class SearchState:
    """What a search has done so far, as it is saved."""

    about: JsonObject
    salt: str
    records: list[BlockRecord] = field(default_factory=list)
    e2e_s: float | None = None
    slowest_s: float = 0.0
    extra: int = 0
    seconds: float = 0.0
    tokens: int = 0
    usd: float = 0.0
    begun: bool = False
    singles: list[float] = field(default_factory=list)

    @classmethod
    def open(
        cls, root: Path | Storage | None, config: RunConfig, settings: JsonObject, limits: JsonObject
    ) -> SearchState:
        """A new state, or the one that is saved in the folder. ConfigError if that is of another search."""
        about = {**settings, "slo": limits, "config": of_config(config)}
        there = None if root is None else read_document(root / FILE)
        if root is None or there is None:
            return cls(about, config.salt or secrets.token_hex(8))
        try:
            saved = json.loads(there)
        except ValueError as error:
            raise StoreError(f"{root / FILE} is damaged ({error}); give a new folder") from None
        differ = [name for name in about if about[name] != saved["about"].get(name)]
        if saved.get("version") != VERSION or differ:
            raise ConfigError(f"capacity: {root} holds a search with another {', '.join(differ) or 'version'}")
        state = cls(about, saved["salt"], [BlockRecord.of(record) for record in saved["records"]])
        for name in ("e2e_s", "slowest_s", "extra", "seconds", "tokens", "usd", "begun", "singles"):
            setattr(state, name, saved.get(name, getattr(state, name)))
        return state

    @property
    def sent(self) -> int:
        return sum(record.sent for record in self.records) + self.extra

    def left(self, budget: Budget) -> dict[str, float]:
        """The rest of each limit of a budget, in its own unit: minutes, requests, tokens, usd."""
        spent = {"minutes": self.seconds / 60, "requests": self.sent, "tokens": self.tokens, "usd": self.usd}
        given = {name: getattr(budget, name) for name in spent}
        return {name: max(limit - spent[name], 0.0) for name, limit in given.items() if limit is not None}

    def rate_at(self, load: float) -> float:
        """Requests per second at a load, about."""
        return load if self.about["load"] == OpenLoop.kind else load / (self.e2e_s or 1.0)

    def save(self, root: Path | Storage | None) -> None:
        if root is None:
            return
        kept = {name: value for name, value in vars(self).items() if name != "records"}
        document = {"version": VERSION, **kept, "records": [record.saved() for record in self.records]}
        write_document(root / FILE, json.dumps(document, indent=1).encode())


def of_config(config: RunConfig) -> JsonObject:
    unused = {"concurrency", "request_rate", "max_requests", "repeats", "until", "max_seconds", "price", "slo", "salt"}
    found: JsonObject = json.loads(config.model_dump_json(exclude=unused))
    return found
