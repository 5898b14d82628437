"""Endpoint: where requests go and in what form. It holds the API key, which appears only in the request's header."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import unquote_plus, urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_serializer, field_validator, model_validator

from ..core.errors import ConfigError, MissingKeyError
from ..core.secrets import looks_secret, redact_url
from .addresses import of_baseten
from .coercions import RAW, as_plain, as_seconds, as_text, as_text_values
from .model import Model

KEY_VARIABLES = ("MODEL_API_KEY", "BASETEN_API_KEY")
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_KEY_PREFIX = re.compile(r"^(api-key|bearer)\s+", re.I)

Text = Annotated[str, BeforeValidator(as_text)]
Names = Annotated[dict[str, str], BeforeValidator(as_text_values)]
Seconds = Annotated[float, BeforeValidator(as_seconds), Field(gt=0, le=86_400)]


class Endpoint(Model):
    """Where requests go and in what form."""

    url: Text = Field(
        description="the full URL, e.g. https://model-abcd1234.api.baseten.co/production/predict; a URL with a path is used as is"
    )
    model: Text | None = Field(None, description="the model's name, sent in chat payloads; optional")
    api_key: SecretStr | None = Field(
        None, description="the API key; else MODEL_API_KEY, then BASETEN_API_KEY from the environment"
    )
    auth_scheme: Literal["auto", "Api-Key", "Bearer", "none"] = Field(
        "auto", description="'auto' sends Api-Key to Baseten's model hosts and Bearer elsewhere"
    )
    request_format: Literal["chat", "prompt"] = Field(
        "chat", description="'chat' sends messages, 'prompt' sends a bare prompt"
    )
    stream: bool = Field(
        True, description="whether to request a streamed response; no other setting controls streaming"
    )
    headers: Names = Field(default_factory=dict, description="additional HTTP headers, e.g. {'x-team': 'research'}")
    verify: bool | str = Field(
        True, description="check of TLS certificates: True, False (no check), or the path of a CA file"
    )
    client_cert: Text | None = Field(
        None, description="the path of a PEM file with a client certificate and its key (mutual TLS), or None"
    )
    proxy: Text | None = Field(
        None,
        description="the URL of an HTTP proxy, e.g. http://user:password@proxy:3128; times are then taken in Python",
    )
    http2: bool = Field(False, description="whether to use HTTP/2 (https URLs only); times are then taken in Python")
    timeout_s: Seconds = Field(600.0, description="timeout of a whole request in seconds, e.g. 600")
    connect_timeout_s: Seconds = Field(30.0, description="timeout for DNS, TCP and TLS together in seconds, e.g. 30")
    first_byte_timeout_s: Seconds | None = Field(
        None, description="timeout from the send to the first body byte in seconds, or None"
    )
    between_bytes_timeout_s: Seconds | None = Field(
        None, description="timeout between two reads of a response in seconds, or None"
    )
    response_path: Text | None = Field(
        None, description="where the text is in an unusual JSON response, e.g. 'a.b.0.c'"
    )
    prompt_key: Text = Field(
        "prompt", min_length=1, description="the name of the prompt's field in the prompt format, e.g. 'prompt'"
    )
    max_tokens_key: Text = Field(
        "max_tokens", min_length=1, description="the name of the field that limits output tokens, e.g. 'max_new_tokens'"
    )

    if TYPE_CHECKING:  # the fields again, with their types: pydantic's mypy plugin does not know `Endpoint(url)`

        def __init__(
            self,
            url: str,
            *,
            model: str | None = None,
            api_key: str | SecretStr | None = None,
            auth_scheme: Literal["auto", "Api-Key", "Bearer", "none"] = "auto",
            request_format: Literal["chat", "prompt"] = "chat",
            stream: bool = True,
            headers: Mapping[str, str] = ...,
            verify: bool | str | Path = True,
            client_cert: str | Path | None = None,
            proxy: str | None = None,
            http2: bool = False,
            timeout_s: float | str | timedelta = 600.0,
            connect_timeout_s: float | str | timedelta = 30.0,
            first_byte_timeout_s: float | str | timedelta | None = None,
            between_bytes_timeout_s: float | str | timedelta | None = None,
            response_path: str | None = None,
            prompt_key: str = "prompt",
            max_tokens_key: str = "max_tokens",
        ) -> None: ...

    @classmethod
    def baseten(
        cls,
        model_id: str,
        environment: str | None = None,
        deployment: str | None = None,
        *,
        regional: bool = False,
        **fields: Any,
    ) -> Self:
        """An endpoint on Baseten. `model_id` is a model's id ("abcd1234" or "model-abcd1234"), a chain's id ("chain-abcd1234"), a
        host or URL of either, or a model of the shared Model APIs ("deepseek-ai/DeepSeek-V3.1").

        `environment`: "production" by default; with `regional=True` the host is that of this regional environment. `deployment`:
        the id of one deployment, instead of an environment. A URL with a path is used unchanged. ConfigError for any other name."""
        try:
            given, environment, deployment = map(as_text, (model_id, environment, deployment))
        except ValueError as error:
            raise ConfigError(f"a name {error}", at=("Endpoint", "baseten")) from None
        if not isinstance(given, str):
            raise ConfigError("give a model's id, e.g. 'abcd1234'", at=("Endpoint", "baseten"))
        url, model = of_baseten(given, environment, deployment, regional)
        return cls(**{"url": url, **({"model": model} if model else {}), **fields})

    @classmethod
    def of(cls, given: object, where: str) -> Self:
        """The endpoint passed to a call: an Endpoint, its URL as text, its fields as a dict, or a config that has one.
        `where` begins the ConfigError for anything else."""
        given = getattr(given, "endpoint", given)
        if isinstance(given, cls):
            return given
        if isinstance(given, str):
            return cls(url=given)
        if isinstance(given, dict):
            return cls.model_validate(given)
        raise ConfigError(f"a {type(given).__name__} is not an endpoint; give a URL or an Endpoint", at=(where,))

    @staticmethod
    def key_from(variable: str, environ: Mapping[str, str] | None = None) -> str | None:
        """The key in the environment variable of that name; None for "". MissingKeyError if it is not set or empty."""
        try:
            variable = as_text(variable)
        except ValueError as error:
            raise ConfigError(f"the variable's name {error}", at=("Endpoint", "key_from")) from None
        if not variable:
            return None
        key = (os.environ if environ is None else environ).get(variable, "").strip()
        if not key:
            raise MissingKeyError(f"the environment variable {variable} is not set: export it, or name another")
        return key

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        url = url.strip()
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it must be an http:// or https:// URL")
        try:
            _ = parts.port
        except ValueError:
            raise ValueError("its port must be a number from 0 to 65535") from None
        return url

    @field_validator("api_key", mode="before")
    @classmethod
    def _clean_key(cls, key: object) -> object:
        """A key is often pasted with its scheme or a newline: both go."""
        if isinstance(key, SecretStr):
            key = key.get_secret_value()
        try:
            key = as_text(key)
        except ValueError:
            raise ValueError(f"it is a number, not text; {RAW}") from None
        if not isinstance(key, str):
            return key
        key = _KEY_PREFIX.sub("", key.strip())
        if re.search(r"[\s\x00-\x1f\x7f]", key):
            raise ValueError("it contains a space or a control character")
        return key or None

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\r\n\x00]", value):
                raise ValueError(f"{name!r} is not a valid header")
            if name.lower() in ("content-length", "transfer-encoding", "host", "connection", "content-type"):
                raise ValueError(f"{name!r} is set by the engine")
        return headers

    @field_validator("verify", mode="before")
    @classmethod
    def _verify_as_text(cls, verify: object) -> object:
        return verify if isinstance(as_plain(verify), bool) or verify in (0, 1) else as_text(verify)

    @field_validator("verify")
    @classmethod
    def _check_verify(cls, verify: bool | str) -> bool | str:
        try:
            found = isinstance(verify, bool) or Path(verify).is_file()
        except (OSError, ValueError):  # a name that no file can have
            found = False
        if not found:
            raise ValueError(f"there is no CA file {str(verify)[:80]!r}")
        return verify

    @field_validator("client_cert")
    @classmethod
    def _check_client_cert(cls, path: str | None) -> str | None:
        if path is None:
            return None
        try:
            ssl.create_default_context().load_cert_chain(path)
        except FileNotFoundError:
            raise ValueError(f"there is no file {path!r}") from None
        except (OSError, ssl.SSLError):
            raise ValueError(f"{path!r} must be a PEM file with a certificate and its unencrypted key") from None
        return path

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, proxy: str | None) -> str | None:
        if not proxy:
            return None
        parts = urlsplit(proxy.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                "it must be an http:// or https:// URL of a proxy; other kinds, such as SOCKS, are not supported"
            )
        return proxy.strip()

    @model_validator(mode="after")
    def _check_http2(self) -> Self:
        if self.http2 and not self.url.startswith("https:"):
            raise ValueError("http2=True needs an https URL: without TLS, servers use HTTP/1.1")
        return self

    @field_serializer("proxy")
    def _dump_proxy(self, proxy: str | None) -> str | None:
        return proxy and redact_url(proxy)

    @field_serializer("url")
    def _dump_url(self, url: str) -> str:
        return redact_url(url)

    @field_serializer("api_key")
    def _dump_key(self, _key: SecretStr | None) -> None:
        return None

    @field_serializer("headers")
    def _dump_headers(self, headers: dict[str, str]) -> dict[str, str]:
        return {k: v for k, v in headers.items() if not looks_secret(k)}

    @property
    def host(self) -> str:
        """The URL's host name, lower case, without brackets."""
        return (urlsplit(self.url).hostname or "").lower()

    @property
    def on_baseten(self) -> bool:
        return self.host == "baseten.co" or self.host.endswith(".baseten.co")

    def key(self, environ: Mapping[str, str] | None = None) -> str | None:
        """The API key to send, or None. MissingKeyError if there is none for a baseten.co URL.

        Order: `api_key`, MODEL_API_KEY, BASETEN_API_KEY. The last is sent only to baseten.co and to this machine.
        """
        if self.auth_scheme == "none" or any(h.lower() == "authorization" for h in self.headers):
            return None
        if self.api_key is not None:
            return self.api_key.get_secret_value()
        environ = os.environ if environ is None else environ
        key = self._key_from(environ, KEY_VARIABLES[0])
        if key is None and (self.on_baseten or self.host in LOOPBACK):
            key = self._key_from(environ, KEY_VARIABLES[1])
        if key is None and self.on_baseten:
            raise MissingKeyError(
                f"{self.host} needs an API key: set {KEY_VARIABLES[0]} or {KEY_VARIABLES[1]}, "
                "or give Endpoint(api_key=...)"
            )
        return key

    @classmethod
    def _key_from(cls, environ: Mapping[str, str], variable: str) -> str | None:
        try:
            key = cls._clean_key(environ.get(variable))
        except ValueError as error:
            raise ConfigError(f"{variable}: {error}; it should contain only the API key") from None
        return key if isinstance(key, str) else None

    def authorization(self, environ: Mapping[str, str] | None = None) -> str | None:
        """The Authorization header's value, or None. Holds the key: never log it."""
        key = self.key(environ)
        if key is None:
            return None
        dedicated = self.on_baseten and self.host.startswith(("model-", "chain-"))
        scheme = self.auth_scheme if self.auth_scheme != "auto" else "Api-Key" if dedicated else "Bearer"
        return f"{scheme} {key}"

    @property
    def by_httpx(self) -> bool:
        """Whether requests use httpx's connections instead of the engine's own. Then the OS kernel does not timestamp bytes."""
        return self.proxy is not None or self.http2

    def secrets(self) -> list[bytes]:
        """Secrets to remove from responses, because a server may echo the request: the key, and values of headers and of the
        URL's query that look secret. Values shorter than 8 bytes are ignored, because they may be ordinary words."""
        query = [pair.partition("=") for pair in urlsplit(self.url).query.split("&")]
        values = [value for name, value in self.headers.items() if looks_secret(name)]
        values += [value for name, _, value in query if looks_secret(unquote_plus(name))]
        values += [urlsplit(self.proxy).password or ""] if self.proxy else []
        forms = {form for value in values for form in (value, unquote_plus(value), *value.split()[-1:])}
        key = self.key()
        found = [form.encode("utf-8", "replace") for form in forms | ({key} if key else set())]
        return sorted((secret for secret in found if len(secret) >= 8), key=len, reverse=True)

    def __repr__(self) -> str:
        fields = self.model_dump(exclude_defaults=True)
        fields |= {"api_key": "***"} if self.api_key else {}
        if self.headers:
            fields["headers"] = {k: "***" if looks_secret(k) else v for k, v in self.headers.items()}
        return f"Endpoint({', '.join(f'{k}={v!r}' for k, v in fields.items())})"

    __str__ = __repr__
