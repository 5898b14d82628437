"""Prices from Baseten's management API. The key goes only to baseten.co over https, or to this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from ..core.errors import ConfigError, MissingKeyError
from .addresses import BASETEN
from .endpoint import LOOPBACK, Endpoint

AT = ("Price", "from_baseten")
TIMEOUT_S = 30.0
DEDICATED = re.compile(r"(model-)?[a-z0-9]{4,16}")  # a model's id; the names of Model APIs have a dash or a slash
VARIABLES = ("BASETEN_API_KEY", "MODEL_API_KEY")


def price_fields(
    model_id: str,
    environment: str,
    deployment: str | None,
    api_key: str | SecretStr | None,
    replicas: int | None,
    base_url: str | None,
) -> dict[str, Any]:
    """The fields of a Price for a model; arguments and errors as in `Price.from_baseten`."""
    with ManagementApi(base_url, api_key) as api:
        if DEDICATED.fullmatch(model_id):
            return _dedicated(api, model_id, environment, deployment, replicas)
        return _shared(api, model_id)


class ManagementApi:
    """Baseten's management API, for reading and for what a caller asks to write. Redirects are not followed."""

    def __init__(self, base_url: str | None, api_key: str | SecretStr | None, at: tuple[str, str] = AT) -> None:
        self._at = at
        self._url = (base_url or f"https://{BASETEN}").rstrip("/")
        endpoint = Endpoint(url=self._url, api_key=api_key, auth_scheme="Bearer")
        scheme = urlsplit(self._url).scheme
        if not (endpoint.on_baseten and scheme == "https") and endpoint.host not in LOOPBACK:
            raise ConfigError(
                f"the key is sent only to https://...baseten.co and to this machine, not to {endpoint.host}", at=at
            )
        given = endpoint.api_key.get_secret_value() if endpoint.api_key else None
        key = given or next((os.environ[name].strip() for name in VARIABLES if os.environ.get(name, "").strip()), None)
        if key is None:
            raise MissingKeyError("the management API needs a key: set BASETEN_API_KEY, or give api_key=", at=at)
        import httpx  # heavy, and most configs need none of it

        self._failures = httpx.HTTPError
        self._client = httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=TIMEOUT_S, trust_env=False)

    def __enter__(self) -> ManagementApi:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at a path. ConfigError if there is none."""
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """The JSON object that a call returns. ConfigError if it failed or returned something else."""
        try:
            answer = self._client.request(method, self._url + path, json=body)
        except self._failures as error:
            raise ConfigError(f"{method} {path} got no answer: {type(error).__name__}", at=self._at) from None
        if answer.status_code in (401, 403):
            raise ConfigError(f"{method} {path}: the key was refused ({answer.status_code})", at=self._at)
        if answer.status_code != 200:
            raise ConfigError(
                f"{method} {path}: status {answer.status_code}; check the id and the environment", at=self._at
            )
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ConfigError(f"{method} {path} did not return a JSON object", at=self._at)
        return found


def _shared(api: ManagementApi, name: str) -> dict[str, Any]:
    cursor, known = "", list[str]()
    while True:
        page = api.get(f"/v1/model_apis{cursor}")
        for item in page.get("items") or []:
            known.append(str(item.get("name")))
            if name in (item["name"], item.get("display_name")):
                return _of_item(item, item["name"])
        pages = page.get("pagination") or {}
        if not pages.get("has_more") or not pages.get("cursor"):
            break
        cursor = f"?cursor={quote(str(pages['cursor']))}"
    raise ConfigError(f"there is no Model API {name!r}; there are {', '.join(known) or 'none'}", at=AT)


def _of_item(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    inputs, outputs = (item.get(f"cost_per_million_{side}_tokens") for side in ("input", "output"))
    if inputs is None or outputs is None:
        raise ConfigError(f"the management API states no price for {name!r}", at=AT)
    costs: dict[str, Any] = {"usd_per_million_input": float(inputs), "usd_per_million_output": float(outputs)}
    return costs | {"source": f"Baseten's management API, Model API {name} (no price of cached tokens is stated there)"}


def _dedicated(
    api: ManagementApi, model_id: str, environment: str, deployment: str | None, replicas: int | None
) -> dict[str, Any]:
    model = quote(model_id.removeprefix("model-"), safe="")
    if deployment is not None:
        found = api.get(f"/v1/models/{model}/deployments/{quote(deployment, safe='')}")
    else:
        found = (
            api.get(f"/v1/models/{model}/environments/{quote(environment, safe='')}").get("current_deployment") or {}
        )
    kind = found.get("instance_type_name")
    if kind is None:
        raise ConfigError(f"{model_id!r} has no deployment with an instance type there", at=AT)
    for item in api.get("/v1/instance_type_prices").get("instance_types") or []:
        if kind in (item["instance_type"].get("name"), item["instance_type"].get("id")):
            active = int(found.get("active_replica_count") or 0)
            said = f"{replicas} replicas, as given" if replicas else f"{active} active replicas"
            return {
                "usd_per_minute": float(item["price"]),
                "replicas": replicas or max(active, 1),
                "source": f"Baseten's management API, instance type {kind}, {said}",
            }
    raise ConfigError(f"the management API states no price for the instance type {kind!r}", at=AT)
