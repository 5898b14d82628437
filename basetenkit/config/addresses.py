"""Which URL a request goes to: Baseten's hosts by their ids, and a base URL with the one path that makes sense.

A URL with a path is always used unchanged. People often paste less from a dashboard or an SDK: a host, or a base URL that ends
in /v1. It is completed, with a warning, if only one path fits the task and the request format. If several paths fit, the error
lists them and nothing is sent. A `?` at the end of a URL leaves it unchanged.

Baseten has four kinds of host: model-ID (dedicated models), chain-ID (chains, called at run_remote), both with the name of a
regional environment after the ID (with short paths: /predict, /run_remote), and inference (the shared Model APIs).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from ..core.errors import ConfigError
from .tasks import TASKS

BASETEN, MODEL_APIS = "api.baseten.co", "inference.baseten.co"
_NAME = re.compile(r"(?:(model|chain)-)?([a-z0-9]{4,16})(?:-([a-z0-9][a-z0-9-]*))?")
_TARGET = re.compile(r"/(production|development|environments/[^/]+|deployment/[^/]+)(/sync)?")


@dataclass(frozen=True)
class Dedicated:
    """A model or a chain that has its own host; `region`: the regional environment in the host's name, or None."""

    kind: str
    id: str
    region: str | None = None

    @property
    def action(self) -> str:
        return "run_remote" if self.kind == "chain" else "predict"

    def url(self, environment: str | None = None, deployment: str | None = None, regional: bool = False) -> str:
        """The URL of one deployment, or of an environment ("production" by default)."""
        name = f"{self.kind}-{self.id}"
        if region := self.region or (environment if regional else None):
            return f"https://{name}-{region}.{BASETEN}/{self.action}"
        target = f"deployment/{deployment}" if deployment else f"environments/{environment or 'production'}"
        target = "development" if target == "environments/development" else target
        return f"https://{name}.{BASETEN}/{target}/{self.action}"


def dedicated(host: str) -> Dedicated | None:
    """The model or chain of a host such as "model-abcd1234.api.baseten.co"; None for any other host."""
    name = host.lower().removesuffix(f".{BASETEN}")
    found = _NAME.fullmatch(name) if name != host.lower() else None
    return Dedicated(found[1], found[2], found[3]) if found and found[1] else None


def of_baseten(given: str, environment: str | None, deployment: str | None, regional: bool) -> tuple[str, str | None]:
    """(URL, model's name or None) of an endpoint on Baseten, given as an id, a host, a URL, or a model of the Model APIs."""
    text = given.strip()
    if environment and deployment:
        raise ConfigError("give an environment or a deployment, not both", at=("Endpoint", "baseten"))
    if regional and not environment:
        raise ConfigError(
            "regional=True needs the environment's name, e.g. environment='prod-us'", at=("Endpoint", "baseten")
        )
    host, path, query = _parts(text)
    named = bool(environment or deployment)
    if host == MODEL_APIS or (host is None and re.fullmatch(r"[\w.-]+/[\w./:-]+", text)):
        if named:
            raise ConfigError("the shared Model APIs have no environments or deployments", at=("Endpoint", "baseten"))
        if host is None:
            return f"https://{MODEL_APIS}/v1/chat/completions", text
        return f"https://{host}{path if path not in ('', '/') else '/v1'}{query}", None
    found = dedicated(host) if host is not None else _by_name(text)
    if found is None:
        raise ConfigError(
            f"{text[:80]!r} is not a model id; give 4 to 16 lower-case letters and digits such as 'abcd1234', "
            "'chain-abcd1234', the endpoint's URL, or a Model API's model such as 'deepseek-ai/DeepSeek-V3.1'",
            at=("Endpoint", "baseten"),
        )
    if path not in ("", "/"):
        if named:
            raise ConfigError(
                "the URL has a path; leave out the path, or environment and deployment", at=("Endpoint", "baseten")
            )
        return f"https://{host}{path}{query}", None
    if found.region and (deployment or environment not in (None, found.region)):
        raise ConfigError(f"the host serves only the regional environment {found.region!r}", at=("Endpoint", "baseten"))
    return found.url(environment, deployment, regional), None


def _parts(text: str) -> tuple[str | None, str, str]:
    """(host or None, path, query including `?`) of a URL, or of a host that was pasted without https://."""
    if not re.match(r"https?://", text, re.I):
        if not re.match(r"[a-z0-9.-]+\.baseten\.co(?![^/?])", text, re.I):
            return None, "", ""
        text = f"https://{text}"
    parts = urlsplit(text)
    return (parts.hostname or "").lower(), parts.path, f"?{parts.query}" if parts.query else ""


def _by_name(text: str) -> Dedicated | None:
    found = _NAME.fullmatch(text)
    if found is None or (found[1] is None and found[3] is not None):
        return None
    return Dedicated(found[1] or "model", found[2], found[3])


def completed(url: str, task: str, prompt_format: bool) -> str:
    """`url`; a base URL gets its missing path. ConfigError with the candidates if several paths fit."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if "?" in url or "#" in url or not _is_base(parts.hostname or "", path):
        return url
    fitting = _candidates((parts.hostname or "").lower(), path, _route(task, prompt_format), prompt_format)
    if len(fitting) > 1:
        whole = ", ".join(urlunsplit(parts._replace(path=p, netloc=parts.netloc.rpartition("@")[2])) for p in fitting)
        raise ConfigError(
            f"it is a base URL, and several paths fit: {whole}; give the whole URL "
            "(a ? at the end leaves a URL unchanged)",
            at=("Endpoint", "url"),
        )
    return urlunsplit(parts._replace(path=fitting[0]))


def _is_base(host: str, path: str) -> bool:
    on_baseten = host.lower().endswith(".baseten.co")
    return path == "" or path.endswith("/v1") or (on_baseten and _TARGET.fullmatch(path) is not None)


def _route(task: str, prompt_format: bool) -> str:
    return "/completions" if prompt_format else TASKS[task].route


def _candidates(host: str, path: str, route: str, prompt_format: bool) -> list[str]:
    """The paths that a base URL may mean, the most likely first."""
    if path.endswith("/v1"):
        return [path + route]
    if path.endswith("/sync"):
        return [f"{path}/v1{route}"]
    found = dedicated(host)
    if found is not None:
        if found.region and not path:
            return [f"/{found.action}"]
        target = path or "/environments/production"
        return [f"{target}/{found.action}"] + ([] if found.kind == "chain" else [f"{target}/sync/v1{route}"])
    own = ["/predict", "/generate"] if prompt_format and host != MODEL_APIS else []
    return [f"/v1{route}", *own]
