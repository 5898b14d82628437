"""Whatever form a response is handed in, it reads as its bare bytes with its status and headers do."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import socket
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import basetenkit as bk
from basetenkit.core.types import Outcome
from basetenkit.parsing import ParsedResponse, parse
from basetenkit.parsing.transcripts import CapturedResponse, take

from ..examples import examples
from ..peer import END, HEAD, chunk, peer

A = b'data: {"choices":[{"delta":{"content":"h\xc3\xa9"}}]}\n\n'
B = b'data: {"choices":[{"delta":{"content":" you"},"finish_reason":"stop"}]}\n\n'
SSE = A + B + b"data: [DONE]\n\n"
CURL = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: r7\r\n\r\n"
PLAIN = {"content-type": "text/event-stream", "x-request-id": "r7"}


def same(parsed: ParsedResponse, bare: ParsedResponse) -> bool:
    """Whether both say the same, but for what they were read from."""
    names = ("outcome", "text", "warnings", "wire_format", "upstream_request_id", "event_texts", "event_ends")
    return all(getattr(parsed, n) == getattr(bare, n) for n in names) and parsed.events == bare.events


# -- curl --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["bytes", "text", "text with bare newlines", "bytearray"])
def test_a_curl_transcript_reads_as_its_body(form: str) -> None:
    whole = CURL + SSE
    forms: dict[str, Any] = {
        "bytes": whole,
        "text": whole.decode(),
        "text with bare newlines": whole.decode().replace("\r\n", "\n"),
        "bytearray": bytearray(whole),
    }
    parsed = parse(forms[form])
    assert (parsed.outcome, parsed.text, parsed.upstream_request_id) == (Outcome.OK, "hé you", "r7")
    assert same(parsed, parse(SSE, headers=PLAIN))
    first = parsed.explain().splitlines()[0]
    assert first.startswith("1. input: a curl transcript, HTTP/1.1 200 OK with 2 header(s); offsets are in its body")
    assert "b'HTTP/1.1 200 OK" in first


def test_http_2_writes_no_reason() -> None:
    parsed = parse(b"HTTP/2 429 \r\ncontent-type: application/json\r\n\r\n" + b'{"error": "slow down"}')
    assert (parsed.outcome, parsed.error_message) == (Outcome.HTTP_ERROR, "slow down")


@pytest.mark.parametrize(
    "before",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Digest\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
    ],
)
def test_of_several_heads_the_last_counts(before: bytes) -> None:
    parsed = parse(before + CURL + SSE)
    assert (parsed.outcome, parsed.text) == (Outcome.OK, "hé you")
    assert f"the last of {before.count(b'HTTP/') + 1} heads" in parsed.explain()


def test_an_answer_that_is_about_http_is_not_peeled_twice() -> None:
    said = b"HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\n\r\ngone"
    parsed = parse(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n" + said)
    assert (parsed.outcome, parsed.text) == (Outcome.OK, said.decode())


def test_a_redirect_that_was_not_followed_is_an_error() -> None:
    parsed = parse(b"HTTP/1.1 302 Found\r\nlocation: /login\r\n\r\n")
    assert parsed.outcome is Outcome.HTTP_ERROR


@pytest.mark.parametrize(
    "body",
    [
        b"HTTP/1.1 is a protocol",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\n\nand that is all",
        b"HTTP/1.1 200 OK\nnot a header line\n\nx",
        b"HTTP/x 200 OK\na: b\n\nx",
        b" HTTP/1.1 200 OK\na: b\n\nx",
        b"HTTP/1.1 20 OK\na: b\n\nx",
    ],
)
def test_a_body_that_only_looks_like_a_transcript_is_a_body(body: bytes) -> None:
    parsed = parse(body)
    assert parsed.text == body.decode()
    assert "curl" not in parsed.explain()


def test_folded_and_empty_headers_and_a_head_without_its_blank_line() -> None:
    found = take(b"HTTP/1.0 204 No Content\r\na: b\r\n  c\r\nd:\r\n")
    assert (found.status, found.headers, found.body) == (204, [("a", "b c"), ("d", "")], b"")


def test_what_is_given_wins_over_what_the_transcript_says() -> None:
    parsed = parse(CURL + SSE, status=500, headers={"X-Request-Id": "mine"})
    assert (parsed.outcome, parsed.upstream_request_id) == (Outcome.HTTP_ERROR, "mine")
    found = take(CURL + SSE, 201, [("Content-Type", "text/plain")])
    assert (found.status, found.headers) == (201, [("Content-Type", "text/plain"), ("x-request-id", "r7")])


def gzip_of(data: bytes) -> bytes:
    return gzip.compress(data)


@pytest.mark.parametrize(("encoding", "encode"), [("gzip", gzip_of), ("deflate", zlib.compress)])
def test_an_encoding_is_undone_once_whether_curl_did_it_or_not(encoding: str, encode: Any) -> None:
    head = CURL[:-2] + f"content-encoding: {encoding}\r\n\r\n".encode()
    raw, compressed = parse(head + encode(SSE)), parse(head + SSE)
    assert (raw.text, compressed.text) == ("hé you", "hé you")
    assert any(w.startswith("encoded:") for w in raw.warnings)
    assert not any(w.startswith("encoded:") for w in compressed.warnings)
    assert f"{encoding} was undone before it was kept" in compressed.explain()
    assert parse((head + SSE).decode()).text == "hé you"


def test_a_body_shorter_than_its_content_length_is_incomplete() -> None:
    head = CURL[:-2] + b"content-length: %d\r\n\r\n"
    cut = parse(head % (len(SSE) + 7) + SSE)
    assert cut.outcome is Outcome.INCOMPLETE
    assert cut.error_message == f"the head announces {len(SSE) + 7} bytes of body, and {len(SSE)} came"
    assert parse(head % len(SSE) + SSE).outcome is Outcome.OK
    assert parse((head % (len(SSE) + 7) + SSE).decode()).outcome is Outcome.OK  # text may have lost its line ends
    assert parse(head % 10**17 + SSE).outcome is Outcome.INCOMPLETE
    assert parse(head.replace(b"%d", b"9" * 5000) + SSE).outcome is Outcome.OK


def test_what_follows_the_content_length_is_left_out() -> None:
    parsed = parse(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nhiuser@host:~$ ")
    assert parsed.text == "hi"
    assert "13 byte(s) after the Content-Length were left out" in parsed.explain()


# -- HAR ---------------------------------------------------------------------------------------------------------------


def har(text: str | None, **more: Any) -> dict[str, Any]:
    content = {"size": len(SSE), "mimeType": "text/event-stream", **more}
    pairs = [{"name": name, "value": value} for name, value in PLAIN.items()]
    return {
        "response": {"status": 200, "headers": pairs, "content": content | ({} if text is None else {"text": text})}
    }


def test_a_har_entry_reads_as_its_body() -> None:
    for entry in (har(SSE.decode()), har(base64.b64encode(SSE).decode(), encoding="base64")):
        parsed = parse(json.loads(json.dumps(entry)))
        assert (parsed.outcome, parsed.text) == (Outcome.OK, "hé you")
        assert same(parsed, parse(SSE, headers=PLAIN))
        assert "1. input: a HAR entry, status 200 with 2 header(s)" in parsed.explain()


def test_a_har_body_is_decoded_already() -> None:
    entry = har(SSE.decode())
    entry["response"]["headers"].append({"name": "Content-Encoding", "value": "br"})
    assert parse(entry).text == "hé you"


def test_a_har_archive_of_one_entry_and_of_two() -> None:
    assert parse({"log": {"entries": [har(SSE.decode())]}}).text == "hé you"
    with pytest.raises(TypeError, match=r"a HAR archive of 2 entries; give one of them"):
        parse({"log": {"entries": [har(""), har("")]}})


def test_a_har_entry_of_a_request_that_had_no_response() -> None:
    parsed = parse({"response": {"status": 0, "_error": "net::ERR_REFUSED", "headers": [], "content": {"size": 0}}})
    assert parsed.outcome is Outcome.CONNECTION_ERROR
    assert parsed.error_message == "the HAR entry has no response: net::ERR_REFUSED"


def test_a_har_entry_without_bytes_of_its_own_is_empty() -> None:
    assert parse(har(None, size=0)).outcome is Outcome.EMPTY


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({}, 'a dict without "response" is not a HAR entry (its keys: none)'),
        ({"choices": []}, "its keys: choices"),
        ({"response": {"status": "200"}}, "response.status is '200'"),
        ({"response": {"status": 200, "headers": [1], "content": {}}}, "not a list of {name, value}"),
        ({"response": {"status": 200, "headers": []}}, "no response.content"),
        (har(None), f"has none of its {len(SSE)} bytes"),
        (har("%%%", encoding="base64"), "response.content.text is marked as base64 but is not base64"),
        ({"response": {"status": 200, "headers": [], "content": {"text": 1}}}, "content.text is int"),
    ],
)
def test_a_dict_that_is_no_har_entry_is_told_in_one_sentence(entry: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TypeError) as caught:
        parse(entry)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


# -- httpx -------------------------------------------------------------------------------------------------------------


def stream(sock: socket.socket, _: bytes) -> None:
    sock.sendall(HEAD + chunk(A))
    sock.sendall(chunk(B) + chunk(b"data: [DONE]\n\n") + END)


def test_a_response_of_httpx_reads_as_its_body() -> None:
    with peer(stream) as server, httpx.Client(trust_env=False) as client:
        whole = parse(client.post(server.url, content=b"{}"))
        with client.stream("POST", server.url, content=b"{}") as response:
            streamed = parse(response)
    for parsed in (whole, streamed):
        assert (parsed.outcome, parsed.text) == (Outcome.OK, "hé you")
        assert [event.arrival_s for event in parsed.events] == [None, None]
        assert "1. input: Response, status 200 with 2 header(s), without times" in parsed.explain()


def test_arrivals_of_the_timed_transport_become_times() -> None:
    async def fetch(url: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=bk.TimedTransport(), trust_env=False) as client:
            return await client.post(url, content=b"{}")

    with peer(stream) as server:
        response = asyncio.run(fetch(server.url))
    arrivals = response.extensions["arrivals"]
    parsed = parse(response)
    assert parsed.text == "hé you"
    known = {seconds for seconds, _, _ in arrivals}
    assert {event.arrival_s for event in parsed.events} <= known
    expected = [next(s for s, _, end in arrivals if end >= event.end) for event in parsed.events]
    assert [event.arrival_s for event in parsed.events] == expected
    assert f"and {len(arrivals)} arrivals" in parsed.explain()


def test_a_gzipped_response_of_httpx_is_decoded_once_and_has_no_times() -> None:
    body = gzip.compress(SSE)
    response = httpx.Response(
        200,
        headers={**PLAIN, "content-encoding": "gzip"},
        content=body,
        extensions={"arrivals": [(0.5, 0.0, len(body))]},
    )
    parsed = parse(response)
    assert (parsed.text, parsed.events[0].arrival_s) == ("hé you", None)
    assert "so there are no times" in parsed.explain()


def test_arrivals_that_are_not_of_this_body_are_not_used() -> None:
    for arrivals in ([(0.1, 0.0, 5)], [(0.1, 0.0, len(SSE)), (0.2, 0.0, 3)]):
        response = httpx.Response(200, headers=PLAIN, content=SSE, extensions={"arrivals": arrivals})
        assert [event.arrival_s for event in parse(response).events] == [None, None]


def test_headers_of_one_name_stay_apart() -> None:
    response = httpx.Response(200, headers=[("a", "1"), ("a", "2")], content=b"x")
    assert [pair for pair in take(response).headers or [] if pair[0] == "a"] == [("a", "1"), ("a", "2")]


def test_a_response_that_was_not_awaited_is_told_in_one_sentence() -> None:
    async def fetch(url: str) -> str:
        async with httpx.AsyncClient(trust_env=False) as client, client.stream("POST", url) as response:
            with pytest.raises(TypeError, match=r"`await response.aread\(\)` first"):
                parse(response)
            await response.aread()
            return parse(response).text

    with peer(stream) as server:
        assert asyncio.run(fetch(server.url)) == "hé you"


def test_parsing_knows_httpx_without_importing_it() -> None:
    code = "import sys, basetenkit.parsing; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# -- what it does not take ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, None, 2.5, True, Path("a.txt"), object()])
def test_a_type_that_holds_no_response_is_told_in_one_sentence(value: Any) -> None:
    with pytest.raises(TypeError) as caught:
        parse(value)
    assert str(caught.value).startswith(
        f"no response can be read from {type(value).__name__}; expected bytes, text, an iterable"
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("chunks", "sentence"),
    [
        ([1], "a chunk is int"),
        ([("0.1", b"a")], "a chunk's time is str"),
        ([(0.1, b"a", 2)], "a chunk is a tuple of 3"),
        ([(0.1, 7)], "a chunk is int"),
        ([(0.1, b"a"), b"b"], "all or none"),
    ],
)
def test_chunks_that_are_none(chunks: Any, sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        parse(chunks)


def test_bare_chunks_keep_their_ends_and_times() -> None:
    assert take([(1, b"a"), (2.5, b""), (3, b"bc")]) == CapturedResponse(
        b"abc", [1, 1, 3], [1.0, 2.5, 3.0], status=200, headers=[], decision=""
    )


PIECES = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/2 100", b"\r\n", b"\n", b"a: b", b":", b" ", b"content-length: 3", b"\xff", b"{}",
     b"content-encoding: gzip", b"\x1f\x8b", b"data: x", b"content-encoding: br, zstd", b"content-length: -1"]
)  # fmt: skip


@settings(max_examples=examples(400), deadline=None)
@given(body=st.lists(PIECES, max_size=14).map(b"".join))
def test_no_transcript_raises(body: bytes) -> None:
    for form in (body, body.decode("utf-8", "replace")):
        parsed = parse(form)
        assert (parsed.outcome is Outcome.OK) == (parsed.error_message is None)
        assert parsed.explain().encode()
