"""What a person pastes into the form -> a config, and a config's errors -> the fields that they belong to."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ...config.run_config import RunConfig
from ...core.errors import ConfigError, Location
from ...interop.genai_bench import config_from_command
from ...session import load

_COMMANDS = ("genai-bench", "genai_bench", "basetenkit benchmark", "benchmark ")


def config_in(text: str) -> RunConfig:
    """The config in a text: a config's JSON, the folder of a saved run, or a genai-bench command. Otherwise ConfigError."""
    if text.startswith("{"):
        return RunConfig.model_validate_json(text)
    if text.lstrip("%!$ ").startswith(_COMMANDS):
        return config_from_command(text)
    found = None
    with contextlib.suppress(OSError, RuntimeError):  # not a path: too long, or the home of an unknown user
        found = path if text and (path := Path(text).expanduser()).exists() else None
    if found is not None and found.is_dir():
        return load(found).config
    if found is not None:
        return RunConfig.model_validate_json(found.read_bytes())
    raise ConfigError("it contains no config; give a config's JSON, the folder of a run, or a genai-bench command")


def by_field(errors: list[tuple[Location, str]], names: set[str]) -> tuple[dict[str, str], list[str]]:
    """Error sentences by field, and the rest."""
    found: dict[str, str] = {}
    rest = []
    for at, said in errors:
        field = next((step for step in at if step in names), None)
        if field is None:
            rest.append(str(ConfigError(said, at=at)))
        else:
            found.setdefault(field, said)
    return found, rest
