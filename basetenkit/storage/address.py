"""Storage: the address of a folder in a bucket, with credentials and options. A URL is enough if the environment has the
credentials."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NoReturn, Self
from urllib.parse import urlsplit

from ..config.coercions import as_path
from ..core.errors import ConfigError

S3, GS, AZ = "s3", "gs", "az"
RETRY_S = 60.0
_SCHEMES = {"s3": S3, "s3a": S3, "gs": GS, "gcs": GS, "az": AZ, "abfs": AZ, "abfss": AZ}
# which stores have the option; those in SECRETS are never shown, saved or sent to another process
_OPTIONS = {
    "endpoint": (S3, GS, AZ),
    "region": (S3,),
    "profile": (S3,),
    "access_key_id": (S3,),
    "secret_access_key": (S3,),
    "session_token": (S3,),
    "account_name": (AZ,),
    "account_key": (AZ,),
    "sas_token": (AZ,),
    "connection_string": (AZ,),
    "credentials_file": (GS,),
    "anonymous": (S3, GS, AZ),
}
SECRETS = ("access_key_id", "secret_access_key", "session_token", "account_key", "sas_token", "connection_string")
_STORES = {S3: "S3", GS: "Google Cloud Storage", AZ: "Azure Blob Storage"}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}(?=[^/])", re.I)  # pathlib makes one slash of two
LOCAL = ("127.0.0.1", "localhost", "::1")


class Storage:
    """A folder in a bucket, with its credentials and options. You can use it wherever you can use the folder of a run.

    Parameters
    ----------
    url : `s3://bucket/path`, `gs://bucket/path` or `az://container/path`.
    endpoint : the address of a store outside the cloud's own: MinIO, R2, OCI, an emulator. For Azure it includes the account's
        name.
    region, profile : of S3; else AWS_REGION, AWS_PROFILE and ~/.aws.
    access_key_id, secret_access_key, session_token : of S3; else AWS_ACCESS_KEY_ID and so on, ~/.aws/credentials, or the
        machine's role.
    account_name, account_key, sas_token, connection_string : of Azure; else AZURE_STORAGE_ACCOUNT_NAME and so on.
    credentials_file : of Google, the JSON file of a service account; else GOOGLE_APPLICATION_CREDENTIALS, or the machine's role.
    anonymous : send requests without a signature.
    spool : the local folder in which a run is kept until all of it is in the bucket; else BASETENKIT_SPOOL, or the user's cache
        folder.
    retry_s : for how many s after the run's last level a failed upload is repeated; default 60.
    timeout_s : timeout of one request to the store in s.

    Raises
    ------
    ConfigError : the URL is not that of a bucket, or an option is not for this store.

    Examples
    --------
    >>> place = Storage("s3://team/runs", endpoint="https://minio.example", access_key_id="AK", secret_access_key="hush")
    >>> place / "first"
    Storage('s3://team/runs/first', endpoint='https://minio.example')
    """

    __slots__ = ("_options", "bucket", "path", "retry_s", "scheme", "spool", "timeout_s")

    def __init__(
        self,
        url: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        account_name: str | None = None,
        account_key: str | None = None,
        sas_token: str | None = None,
        connection_string: str | None = None,
        credentials_file: str | Path | None = None,
        anonymous: bool = False,
        spool: str | Path | None = None,
        retry_s: float | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        given = locals()
        self.scheme, self.bucket, self.path = _parts(url)
        self.spool, self.timeout_s = spool, float(timeout_s)
        self.retry_s = RETRY_S if retry_s is None else float(retry_s)
        self._options: dict[str, Any] = {name: given[name] for name in _OPTIONS if given[name]}
        for name in self._options:
            if self.scheme not in _OPTIONS[name]:
                fits = " and ".join(_STORES[scheme] for scheme in _OPTIONS[name])
                raise ConfigError(f"Storage: {name} is an option of {fits}, and {self.url} is {_STORES[self.scheme]}")
        for name in ("secret_access_key", "access_key_id"):
            if name not in self._options and {"secret_access_key", "access_key_id"} & set(self._options):
                raise ConfigError(f"Storage: {name} is missing; a key of S3 has an id and a secret")
        if endpoint is not None:
            _check_endpoint(endpoint)

    @property
    def url(self) -> str:
        """The address, without credentials."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.path}" if self.path else "")

    @property
    def name(self) -> str:
        """The last part of the path, or the bucket's name."""
        return self.path.rpartition("/")[2] or self.bucket

    @property
    def store(self) -> str:
        """The kind of store, as text."""
        return _STORES[self.scheme]

    def option(self, name: str) -> Any:
        """The option as it was given; None if it was not."""
        return self._options.get(name)

    def __truediv__(self, name: str) -> Self:
        """The folder `name` in this one."""
        made = object.__new__(type(self))
        for slot in Storage.__slots__:
            setattr(made, slot, getattr(self, slot))
        made.path = "/".join(part for part in (self.path, *str(name).split("/")) if part)
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Storage) and (self.url, self._options) == (other.url, other._options)

    def __hash__(self) -> int:
        return hash(self.url)

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        shown = {k: v for k, v in self._options.items() if k not in SECRETS}
        return f"Storage({', '.join([repr(self.url), *(f'{k}={v!r}' for k, v in shown.items())])})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Storage may hold credentials and is not pickled; send its url, and let the other side read its own"
        )


Place = str | Path | Storage


def as_place(value: object, where: str) -> Path | Storage:
    """The folder that a call was given: a path, or a Storage if it is in a bucket. `where` names the argument in the ConfigError
    for anything else."""
    if isinstance(value, Storage):
        return value
    if isinstance(value, str | os.PathLike) and _SCHEME.match(
        os.fspath(value) if isinstance(value, os.PathLike) else value
    ):
        return Storage(str(value))
    return as_path(value, where)


def is_url(value: object) -> bool:
    """Whether it is the address of something that is not on this machine."""
    return isinstance(value, Storage) or (isinstance(value, str | Path) and bool(_SCHEME.match(str(value))))


def _parts(url: str) -> tuple[str, str, str]:
    found = _SCHEME.match(str(url))
    scheme = _SCHEMES.get(found[1].lower()) if found else None
    if found is None or scheme is None:
        given = f"{found[1].lower()}://..." if found else repr(url)  # a whole URL may hold a key
        hint = "; a store's own address goes in bk.Storage('s3://bucket/path', endpoint=...)" if found else ""
        raise ConfigError(f"{given} is not the address of a bucket: give s3://, gs:// or az://bucket/path{hint}")
    rest = str(url)[found.end() :]
    parts = urlsplit(f"//{rest}")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigError(
            f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path} was given with more than bucket and path; credentials and "
            "options go in the environment or in bk.Storage(...), never in the URL"
        )
    path = "/".join(part for part in parts.path.split("/") if part)
    if ".." in path.split("/"):
        raise ConfigError(f"{scheme}://{parts.netloc}/{path}: '..' has no meaning in a bucket")
    return scheme, parts.netloc, path


def _check_endpoint(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("Storage: endpoint must be an http:// or https:// URL")
    if parts.username or parts.query:
        raise ConfigError("Storage: endpoint must hold no user and no query; credentials have options of their own")
    if (
        parts.scheme == "http"
        and parts.hostname not in LOCAL
        and os.environ.get("AWS_ALLOW_HTTP", "").lower() != "true"
    ):
        raise ConfigError(
            f"Storage: endpoint {parts.scheme}://{parts.netloc} is not encrypted; use https://, or set AWS_ALLOW_HTTP=true"
        )
