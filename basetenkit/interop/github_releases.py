"""A saved run as assets of a GitHub release: the run's folder as one zip file, and its report.

The token comes from GITHUB_TOKEN or from the caller that makes the Release. It is sent to GitHub's API and to the upload address
that the API names, and is in no file, repr or message.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from ..core.errors import ConfigError, StoreError
from ..core.types import JsonObject
from ..results.run_data import RunData
from ..results.store import LOCK_FILE, RUN_FILE
from ..storage.address import LOCAL

API = "https://api.github.com"
TOKEN, API_VARIABLE = "GITHUB_TOKEN", "GITHUB_API_URL"
TRIES, PAUSE_S, TIMEOUT_S = 4, 1.0, 60.0
ASSET_MOST = 2 << 30  # bytes
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")  # GitHub puts dots in the place of most other characters
_WHY = {
    401: "GitHub refuses the token; renew it",
    403: "GitHub refuses the token or the rate limit is reached; it needs to write contents of the repository",
    404: "there is no such repository, or the token cannot read it",
    422: "GitHub does not take these names; check the tag",
    429: "GitHub takes no more requests for now",
}


@dataclass(frozen=True)
class Release:
    """A release of a repository, by its tag. `prefix`: before the names of its assets; `token`: None for GITHUB_TOKEN."""

    owner: str
    repo: str
    tag: str
    prefix: str = ""
    token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"github.com/{self.owner}/{self.repo}, release {self.tag}"


def upload_run(folder: Path, release: Release) -> list[str]:
    """Uploads a saved run; the names of its assets, which replace those of the same name. The release is made if there is none.
    ConfigError without a token, StoreError in one sentence if GitHub does not take it: the folder stays as it is."""
    from ..reporting.html import report  # altair takes long to load

    token = release.token or os.environ.get(TOKEN)
    if not token:
        raise ConfigError(f"{release}: the token is missing; set {TOKEN}", at=("--github-token",))
    api = _address(os.environ.get(API_VARIABLE) or API, release)
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    parts = (part.strip("/") for part in (release.prefix, folder.name))
    name = _UNSAFE.sub("-", "-".join(part for part in parts if part))
    with (
        tempfile.TemporaryDirectory(prefix="basetenkit-") as beside,
        httpx.Client(headers=headers, timeout=TIMEOUT_S, follow_redirects=False) as client,
    ):
        files = [
            _zipped(folder, Path(beside, f"{name}.zip")),
            report(RunData.load(folder), Path(beside, f"{name}.html")),
        ]
        try:
            return _upload(client, api, release, files)
        except StoreError as error:
            raise StoreError(f"{error}; the run is in {folder}: the same call uploads it again") from None


def _upload(client: httpx.Client, api: str, release: Release, files: list[Path]) -> list[str]:
    repository = f"{api}/repos/{quote(release.owner, safe='')}/{quote(release.repo, safe='')}"
    found = _ask(client, release, "GET", f"{repository}/releases/tags/{quote(release.tag, safe='')}", missing=True)
    if found is None:
        made = {"tag_name": release.tag, "name": release.tag, "body": "Benchmark runs, uploaded by basetenkit."}
        found = _ask(client, release, "POST", f"{repository}/releases", json=made) or {}
    target = _address(str(found.get("upload_url", "")).partition("{")[0], release)
    there = {asset["name"]: asset["id"] for asset in found.get("assets") or []}
    for file in files:
        if file.stat().st_size >= ASSET_MOST:
            raise StoreError(f"{release}: {file.name} is larger than the 2 GiB that an asset may have")
        if file.name in there:
            _ask(client, release, "DELETE", f"{repository}/releases/assets/{there[file.name]}", missing=True)
        kind = {"Content-Type": "application/zip" if file.suffix == ".zip" else "text/html"}
        _ask(client, release, "POST", f"{target}?name={quote(file.name)}", file=file, headers=kind)
    return [file.name for file in files]


def _ask(
    client: httpx.Client,
    release: Release,
    method: str,
    url: str,
    *,
    missing: bool = False,
    file: Path | None = None,
    **given: Any,
) -> JsonObject | None:
    """One request, tried again while GitHub fails; its answer as JSON. `missing`: a 404 gives None."""
    why = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
        try:
            answer = client.request(method, url, content=None if file is None else file.read_bytes(), **given)
        except httpx.TimeoutException:
            why = "GitHub did not answer in time"
            continue
        except httpx.HTTPError:
            why = "GitHub cannot be reached; check the network"
            continue
        if missing and answer.status_code == 404:
            return None
        if answer.is_success:
            return answer.json() if answer.content else {}
        if file is not None and attempt and answer.status_code == 422:
            return {}  # the answer to the try before was lost: the asset is there
        why = _WHY.get(answer.status_code, f"GitHub failed (status {answer.status_code})")
        if answer.status_code < 500 and answer.status_code != 429:
            break
    raise StoreError(f"{release}: {why}")


def _address(url: str, release: Release) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL):
        raise StoreError(f"{release}: GitHub's address is not https://; the token is not sent there")
    return url.rstrip("/")


def _zipped(folder: Path, target: Path) -> Path:
    """The files of a run in one zip file, below the run's name; the lock and hidden ones are left out."""
    if not (folder / RUN_FILE).is_file():
        raise StoreError(f"there is no run in {folder}")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as made:  # its parts are compressed already
        for file in sorted(folder.rglob("*")):
            inside = file.relative_to(folder)
            hidden = any(part.startswith(".") for part in inside.parts)
            if file.is_file() and not hidden and inside.as_posix() != LOCK_FILE:
                made.write(file, f"{folder.name}/{inside.as_posix()}")
    return target
