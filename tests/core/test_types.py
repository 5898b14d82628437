from __future__ import annotations

from array import array

from basetenkit.core.types import Exchange, Request, first_header


def test_arrivals_leave_out_reads_without_body_and_bound_by_the_send() -> None:
    reads = array("q", [110, 100, 0, 0, 250, 200, 1, 3, 400, 300, 0, 7])
    x = Exchange(Request("r", b"", "s"), sent_ns=100, send_bound_ns=4, reads=reads)
    assert x.arrivals == [(150e-9, 4e-9, 3), (300e-9, 104e-9, 7)]
    assert x.read_ends.tolist() == [0, 3, 7]


def test_what_was_never_sent_has_no_arrivals() -> None:
    assert Exchange(Request("r", b"", "s")).arrivals == []


def test_a_header_is_found_whatever_its_case() -> None:
    assert first_header([("X-A", "1"), ("x-a", "2")], "x-a") == "1"
    assert first_header([], "x-a") is None
