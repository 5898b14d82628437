"""A Storage -> the obstore object that connects to it. Credentials are read when it is made, so that a new one has fresh ones.

obstore reads the environment and the roles of machines by itself. What it does not read is read here: ~/.aws of S3, and the
connection string of Azure.
"""

from __future__ import annotations

import configparser
import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..core.errors import ConfigError, StoreError
from .address import AZ, GS, S3, Storage

MISSING = "{url}: buckets need the package obstore, which is not installed: pip install 'basetenkit[cloud]'"
CONNECT_S = 5.0
_ACCOUNTS = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_ACCOUNT_NAME")
_KEYS = {"aws_access_key_id": "access_key_id", "aws_secret_access_key": "secret_access_key"}
_KEYS |= {"aws_session_token": "session_token", "region": "region", "endpoint_url": "endpoint"}
_ROLES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


def open_store(storage: Storage, retries: int, retry_s: float) -> Any:
    """The store of a Storage's bucket; nothing is sent. StoreError if obstore is missing, ConfigError if options are."""
    try:
        from obstore.store import AzureStore, GCSStore, S3Store
    except ImportError:
        raise StoreError(MISSING.format(url=storage)) from None
    makers: dict[str, tuple[Any, Any]] = {S3: (S3Store, _s3), GS: (GCSStore, _gs), AZ: (AzureStore, _az)}
    make, options_of = makers[storage.scheme]
    options = {name: value for name, value in options_of(storage).items() if value is not None}
    endpoint = options.get("endpoint") or options.get("base_url") or os.environ.get("AWS_ENDPOINT_URL") or ""
    client: dict[str, Any] = {
        "timeout": timedelta(seconds=storage.timeout_s),
        "connect_timeout": timedelta(seconds=min(CONNECT_S, storage.timeout_s)),
    }
    if urlsplit(endpoint).scheme == "http":
        client["allow_http"] = True
    backoff = {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2.0}
    retry = {"max_retries": retries, "retry_timeout": timedelta(seconds=retry_s), "backoff": backoff}
    try:
        return make(storage.bucket, client_options=client, retry_config=retry, **options)
    except Exception as error:  # its text may hold an option's value
        raise ConfigError(
            f"{storage}: the options of {storage.store} cannot be used ({type(error).__name__}); look at the credentials in the "
            "environment and in bk.Storage(...)"
        ) from None


def _s3(storage: Storage) -> dict[str, Any]:
    names = ("endpoint", "region", "access_key_id", "secret_access_key", "session_token")
    given: dict[str, Any] = {name: storage.option(name) for name in names}
    given["disable_bulk_delete"] = True  # not every store that speaks S3 has it
    if storage.option("anonymous"):
        return {**given, "skip_signature": True}
    profile = storage.option("profile") or os.environ.get("AWS_PROFILE")
    by_environment = "AWS_ACCESS_KEY_ID" in os.environ or any(name in os.environ for name in _ROLES)
    if given["access_key_id"] is None and (storage.option("profile") or not by_environment):
        given = {name: value if value is not None else _of_profile(profile).get(name) for name, value in given.items()}
    return given


def _of_profile(name: str | None) -> dict[str, str]:
    """What ~/.aws says of a profile; ConfigError if it was asked for by name and is not there."""
    places = (("AWS_SHARED_CREDENTIALS_FILE", "credentials", ""), ("AWS_CONFIG_FILE", "config", "profile "))
    found: dict[str, str] = {}
    known, wanted = False, name or "default"
    for variable, file, prefix in places:
        text = configparser.ConfigParser(interpolation=None)
        try:
            text.read(os.environ.get(variable) or Path("~/.aws", file).expanduser())
        except (configparser.Error, OSError, UnicodeDecodeError, RuntimeError):
            raise ConfigError(f"the AWS {file} file cannot be read; check {variable} and ~/.aws/{file}") from None
        section = next((one for one in (f"{prefix}{wanted}", wanted) if text.has_section(one)), None)
        if section is not None:
            known = True
            found = {_KEYS[key]: value for key, value in text.items(section) if key in _KEYS} | found
    if name is not None and not known:
        raise ConfigError(f"there is no AWS profile {name!r} in ~/.aws; see AWS_PROFILE and Storage(profile=...)")
    return found


def _gs(storage: Storage) -> dict[str, Any]:
    file = storage.option("credentials_file")
    if file is not None and not Path(file).is_file():
        raise ConfigError(f"Storage: there is no credentials_file {file}")
    anonymous = True if storage.option("anonymous") else None
    return {
        "base_url": storage.option("endpoint"),
        "service_account": None if file is None else str(file),
        "skip_signature": anonymous,
    }


def _az(storage: Storage) -> dict[str, Any]:
    text = storage.option("connection_string") or os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
    said = _connection(text) if text else {}
    given = {name: storage.option(name) for name in ("account_name", "account_key", "sas_token", "endpoint")}
    merged = {name: value if value is not None else said.get(name) for name, value in given.items()}
    sas = merged.pop("sas_token")
    if merged["account_name"] is None and not any(os.environ.get(name) for name in _ACCOUNTS):
        raise ConfigError(
            f"{storage}: the storage account is missing; set AZURE_STORAGE_ACCOUNT_NAME, or give "
            "bk.Storage(url, account_name=...)"
        )
    return {**merged, "sas_key": sas, "skip_signature": True if storage.option("anonymous") else None}


def _connection(text: str) -> dict[str, str]:
    pairs = dict(part.partition("=")[::2] for part in text.split(";") if "=" in part)
    names = {"AccountName": "account_name", "AccountKey": "account_key", "BlobEndpoint": "endpoint"}
    names["SharedAccessSignature"] = "sas_token"
    found = {ours: pairs[theirs] for theirs, ours in names.items() if pairs.get(theirs)}
    if not found:
        raise ConfigError(
            "the connection string of Azure names no account; it looks like AccountName=...;AccountKey=..."
        )
    return found
