"""A stand-in for GitHub's API of releases on 127.0.0.1, with GitHub's statuses and the fields of its answers that clients use. It
makes releases, finds them by tag, takes assets and deletes them, and fails on request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ..serving import serving

TOKEN = "planted-github-token"
REPOSITORY = "/repos/team/results"


@dataclass
class GitHub:
    """`releases`: by tag, their assets by name. `fault`: asked for each request (method, path); a status in place of the right
    answer, or None."""

    url: str = ""
    releases: dict[str, dict[str, bytes]] = field(default_factory=dict)
    ids: dict[int, tuple[str, str]] = field(default_factory=dict)
    fault: Callable[[str, str], int | None] = lambda *_: None
    log: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def github() -> Iterator[GitHub]:
    kept = GitHub()

    class Handler(_Handler):
        there = kept

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        kept.url = f"http://127.0.0.1:{server.server_port}"
        yield kept


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    there: GitHub

    def log_message(self, *_: Any) -> None:
        """No log."""

    def _handle(self) -> None:
        parts, there = urlsplit(self.path), self.there
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        there.log.append((self.command, parts.path))
        if status := there.fault(self.command, parts.path):
            return self._send(status, {"message": f"no {TOKEN}"})
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            return self._send(401, {"message": "Bad credentials"})
        if not parts.path.startswith(REPOSITORY):
            return self._send(404, {"message": "Not Found"})
        return self._send(*self._answer(parts.path.removeprefix(REPOSITORY), parse_qs(parts.query), body))

    do_GET = do_POST = do_DELETE = _handle

    def _answer(self, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
        releases = self.there.releases
        if self.command == "GET" and (found := re.fullmatch("/releases/tags/(.+)", path)):
            tag = unquote(found[1])
            return (200, self._release(tag)) if tag in releases else (404, {"message": "Not Found"})
        if self.command == "POST" and path == "/releases":
            tag = json.loads(body)["tag_name"]
            if tag in releases:
                return 422, {"message": "Validation Failed", "errors": [{"code": "already_exists"}]}
            releases[tag] = {}
            return 201, self._release(tag)
        if self.command == "POST" and (found := re.fullmatch("/releases/(.+)/assets", path)):
            tag, name = unquote(found[1]), query["name"][0]
            if name in releases[tag]:
                return 422, {"message": "Validation Failed", "errors": [{"code": "already_exists"}]}
            releases[tag][name] = body
            return 201, {"name": name, "size": len(body), "state": "uploaded"}
        if self.command == "DELETE" and (found := re.fullmatch(r"/releases/assets/(\d+)", path)):
            tag, name = self.there.ids.pop(int(found[1]))
            del releases[tag][name]
            return 204, None
        return 404, {"message": "Not Found"}

    def _release(self, tag: str) -> dict[str, Any]:
        assets = []
        for name, content in self.there.releases[tag].items():
            number = len(self.there.ids) + 1
            self.there.ids[number] = (tag, name)
            assets.append({"id": number, "name": name, "size": len(content), "state": "uploaded"})
        upload = f"{self.there.url}{REPOSITORY}/releases/{tag}/assets{{?name,label}}"
        return {"id": 1, "tag_name": tag, "upload_url": upload, "assets": assets}

    def _send(self, status: int, content: Any) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
