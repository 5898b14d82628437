"""Why a request to a store failed, from the exceptions of obstore and the store's own codes: one sentence each.

The exceptions quote addresses and the store's answer, which may hold a signature: of them only codes are shown.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Self

from ..core.errors import StoreError
from .address import Storage

_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>|x-ms-error-code[\"': ]+(\w{1,60})")
_SKEW = ("RequestTimeTooSkewed", "RequestTimeSkewed")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired")
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "InvalidBucketName")
_BUSY = ("SlowDown", "ServerBusy", "TooManyRequests", "RequestLimitExceeded")
_NOBODY = ("169.254.169.254", "token request", "/latest/api/token", "/latest/meta-data/")


class Trouble(Enum):
    """Why a store did not do what was asked for."""

    NO_CREDENTIALS = "{url}: no credentials were found; {how}"
    DENIED = "{url}: {store} refuses these credentials{code}; they need to read, list, write and delete there"
    EXPIRED = "{url}: the credentials have expired{code}; renew them"
    NO_BUCKET = "{url}: there is no such bucket{code}; make it, or correct its name"
    SKEWED = "{url}: this machine's clock differs from that of {store}{code}; set the clock"
    REGION = "{url}: the bucket is in another region{code}; give the region"
    BUSY = "{url}: {store} takes no more requests for now{code}"
    TIMEOUT = "{url}: {store} did not answer in time"
    UNREACHABLE = "{url}: {store} cannot be reached; check the network and the endpoint"
    PLAIN = "{url}: an http:// endpoint is not encrypted; use https://, or set AWS_ALLOW_HTTP=true"
    UNSUPPORTED = "{url}: {store} does not have this operation{code}"
    FAILED = "{url}: {store} failed{code}"


_HOW = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, have them in ~/.aws/credentials, or give bk.Storage(url, ...)",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or give bk.Storage(url, credentials_file=...)",
    "az": "set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or give bk.Storage(url, account_key=...)",
}


class BucketError(StoreError):
    """A request to a store failed. `trouble` says why."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        self.trouble = trouble
        super().__init__(message)

    @classmethod
    def of(cls, storage: Storage, error: Exception | None, trouble: Trouble | None = None) -> Self:
        """The sentence of an exception of obstore. `trouble`: if the caller knows it better."""
        text = str(error or "")
        status, code = _STATUS.search(text), _CODE.search(text)
        named = next((x for x in (*(code.groups() if code else ()), status and f"status {status[1]}") if x), "")
        found = trouble or _trouble(error, text, status[1] if status else "", named)
        words = {"url": storage.url, "store": storage.store, "how": _HOW[storage.scheme]}
        return cls(found, found.value.format(**words, code=f" ({named})" if named else ""))


def is_of_bucket(error: Exception) -> bool:
    """Whether it is the bucket that was not found, and not an object in it."""
    return any(code in str(error) for code in _NO_BUCKET)


def _trouble(error: Exception | None, text: str, status: str, code: str) -> Trouble:
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    if any(mark in text for mark in _NOBODY):
        return Trouble.NO_CREDENTIALS
    by_code = {_SKEW: Trouble.SKEWED, _EXPIRED: Trouble.EXPIRED, _NO_BUCKET: Trouble.NO_BUCKET, _BUSY: Trouble.BUSY}
    for codes, trouble in by_code.items():
        if code in codes:
            return trouble
    if isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError) or status in ("401", "403"):
        return Trouble.DENIED
    if status in ("301", "307", "400") and "egion" in text:
        return Trouble.REGION
    by_status = {"404": Trouble.NO_BUCKET, "429": Trouble.BUSY, "503": Trouble.BUSY, "501": Trouble.UNSUPPORTED}
    if status:
        return by_status.get(status, Trouble.FAILED)
    if "builder error" in text:
        return Trouble.PLAIN
    if "kind: Timeout" in text or "timed out" in text or isinstance(error, TimeoutError):
        return Trouble.TIMEOUT
    return Trouble.UNREACHABLE if "error sending request" in text or "kind: Connect" in text else Trouble.FAILED
