"""A config -> Python code that makes it. Fields with default values and all secrets are left out, so that the code can be
shared. Fields whose default depends on another field (scenarios, concurrency) are always written."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from ..core.errors import ConfigError

ALWAYS = ("scenarios", "concurrency")


def to_python(config: BaseModel) -> str:
    """Python code that ends with `config = bk.RunConfig(...)`. ConfigError if the data set is a frame, which has no text form."""
    values = config.model_dump()
    if not isinstance(values["dataset"], (str, dict, type(None))):
        raise ConfigError("to_python: the data set is a frame in memory; save it (write_parquet) and give its path")
    endpoint = values.pop("endpoint")
    if (price := getattr(config, "price")) is not None:  # noqa: B009 - as below
        values["price"] = price.model_dump(exclude_defaults=True)
    kind: type[BaseModel] = type(getattr(config, "endpoint"))  # noqa: B009 - the model's own type is in a layer above
    lines = ["import basetenkit as bk", "", "endpoint = bk.Endpoint(", *_fields(endpoint, kind), ")"]
    lines += ["config = bk.RunConfig(", "    endpoint=endpoint,", *_fields(values, type(config)), ")"]
    return "\n".join(lines) + "\n"


def _fields(values: Mapping[str, object], model: type[BaseModel]) -> list[str]:
    defaults = {name: field.get_default(call_default_factory=True) for name, field in model.model_fields.items()}
    wanted = [name for name, value in values.items() if name in ALWAYS or value != defaults[name]]
    return [f"    {name}={values[name]!r}," for name in wanted]
