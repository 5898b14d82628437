"""A store of objects on 127.0.0.1 that speaks the XML API of S3 and of Google Cloud Storage, as far as obstore and polars use it:
whole and conditional writes, ranges, listings in pages, uploads in parts, deletions. It fails on request, before or after the work.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from ..serving import serving

KEY_ID, SECRET = "GOODKEYID", "planted+secret/0815"
PAGE = 1000


@dataclass
class Stored:
    content: bytes
    generation: int
    modified: datetime

    @property
    def e_tag(self) -> str:
        return f'"{hashlib.md5(self.content).hexdigest()}-{self.generation}"'


@dataclass
class Answer:
    """Instead of what would be right. `after`: the work is done, and only its answer is lost; `cut`: no answer at all."""

    status: int = 503
    code: str = "SlowDown"
    after: bool = False
    cut: bool = False
    wait_s: float = 0.0


@dataclass
class Store:
    """`fault`: asked for each request (method, object's name); an Answer in place of the right one, or None."""

    url: str = ""
    buckets: dict[str, dict[str, Stored]] = field(default_factory=lambda: {"bkt": {}})
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    fault: Callable[[str, str], Answer | None] = lambda *_: None
    log: list[tuple[str, str]] = field(default_factory=list)
    conditional: bool = True
    signed: bool = True  # whether the id of the key is looked at
    clock: timedelta = timedelta()
    lock: Any = field(default_factory=threading.Lock)
    generation: int = 0

    def names(self, bucket: str = "bkt") -> list[str]:
        return sorted(self.buckets[bucket])

    def put(self, bucket: str, name: str, content: bytes) -> Stored:
        self.generation += 1
        self.buckets[bucket][name] = Stored(content, self.generation, datetime.now(UTC) + self.clock)
        return self.buckets[bucket][name]

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which S3 clients find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }


@contextmanager
def bucket_server() -> Iterator[Store]:
    store = Store()

    class Handler(_Handler):
        kept = store

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with serving(server):
        store.url = f"http://127.0.0.1:{server.server_port}"
        yield store


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kept: Store

    def log_message(self, *_: Any) -> None:
        """Logs nothing."""

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        _, bucket, *rest = unquote(parts.path).split("/", 2)
        name, query = (rest or [""])[0], {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self._body()
        store = self.kept
        store.log.append((self.command, name or f"?{parts.query}"))
        fault = store.fault(self.command, name)
        if fault is not None and fault.wait_s:
            time.sleep(fault.wait_s)
        if fault is not None and not fault.after and not fault.wait_s:
            return self._fail(fault)
        authorized = self.headers.get("authorization", "")
        if store.signed and authorized.startswith("AWS4-") and f"Credential={KEY_ID}/" not in authorized:
            return self._error(403, "InvalidAccessKeyId")
        with store.lock:
            if bucket not in store.buckets:
                return self._error(404, "NoSuchBucket")
            answer = self._answer(bucket, name, query, body)
        if fault is not None and fault.after:
            return self._fail(fault)
        self._send(*answer)
        return None

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _handle

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _answer(self, bucket: str, name: str, query: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        store, objects = self.kept, self.kept.buckets[bucket]
        if self.command == "PUT" and "uploadId" in query:
            store.parts[query["uploadId"]][int(query["partNumber"])] = body
            return 200, b"", {"ETag": f'"{query["partNumber"]}"'}
        if self.command == "PUT":
            return self._put(bucket, name, body)
        if self.command == "POST" and "uploads" in query:
            upload = f"u{len(store.parts)}"
            store.parts[upload] = {}
            return (
                200,
                f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>".encode(),
                {},
            )
        if self.command == "POST" and "uploadId" in query:
            content = b"".join(part for _, part in sorted(store.parts.pop(query["uploadId"]).items()))
            made = store.put(bucket, name, content)
            text = f"<CompleteMultipartUploadResult><ETag>{escape(made.e_tag)}</ETag></CompleteMultipartUploadResult>"
            return 200, text.encode(), {"ETag": made.e_tag, "x-goog-generation": str(made.generation)}
        if self.command == "DELETE":
            objects.pop(name, None)
            return 204, b"", {}
        if not name:
            return 200, self._list(objects, query), {}
        if name not in objects:
            return self._xml(404, "NoSuchKey")
        return self._get(objects[name])

    def _put(self, bucket: str, name: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        there = self.kept.buckets[bucket].get(name)
        match, absent = self.headers.get("if-match"), self.headers.get("if-none-match")
        generation = self.headers.get("x-goog-if-generation-match")
        if (match or absent or generation) and not self.kept.conditional:
            return self._xml(501, "NotImplemented")
        wrong = (match is not None and (there is None or there.e_tag != match)) or (absent == "*" and there is not None)
        if generation is not None:
            wrong |= int(generation) != (there.generation if there else 0)
        if wrong:
            return self._xml(412, "PreconditionFailed")
        made = self.kept.put(bucket, name, body)
        return 200, b"", {"ETag": made.e_tag, "x-goog-generation": str(made.generation)}

    def _get(self, stored: Stored) -> tuple[int, bytes, dict[str, str]]:
        headers = {"ETag": stored.e_tag, "x-goog-generation": str(stored.generation)}
        headers["Last-Modified"] = stored.modified.strftime("%a, %d %b %Y %H:%M:%S GMT")
        content, size = stored.content, len(stored.content)
        if found := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("range", "")):
            first = int(found[1]) if found[1] else max(size - int(found[2]), 0)
            last = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
            return 206, content[first : last + 1], headers
        return 200, content, headers

    def _list(self, objects: dict[str, Stored], query: dict[str, str]) -> bytes:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        items: list[str] = []
        folders, last = set[str](), ""
        for name in sorted(objects):
            if not name.startswith(prefix) or name <= after:
                continue
            if len(items) == PAGE:
                break
            last = name
            rest = name[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
                continue
            one = objects[name]
            items.append(
                f"<Contents><Key>{escape(name)}</Key><LastModified>{one.modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
                f"<ETag>{escape(one.e_tag)}</ETag><Size>{len(one.content)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            )
        more = any(name > last and name.startswith(prefix) for name in objects) and len(items) == PAGE
        token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if more else ""
        inside = "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders))
        state = f"<IsTruncated>{str(more).lower()}</IsTruncated><KeyCount>{len(items)}</KeyCount>"
        return f"<ListBucketResult><Name>b</Name>{state}{token}{''.join(items)}{inside}</ListBucketResult>".encode()

    def _fail(self, fault: Answer) -> None:
        if fault.cut:
            self.close_connection = True
            self.connection.close()
            return
        self._error(fault.status, fault.code)

    def _xml(self, status: int, code: str) -> tuple[int, bytes, dict[str, str]]:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
        return status, text.encode(), {"Content-Type": "application/xml"}

    def _error(self, status: int, code: str) -> None:
        self._send(*self._xml(status, code))

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
