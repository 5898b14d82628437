from __future__ import annotations

import io
import os
import signal

import pytest
from rich.console import Console

from basetenkit.cli.capacity_screen import CapacityScreen, drawing
from basetenkit.studies.capacity_blocks import BlockRecord
from basetenkit.studies.capacity_control import SearchControl, SearchProgress

RECORD = BlockRecord(2.0, "bracket", 9.0, 160, 60, 45.0, 0, None, True, 1.0, 2.0, 10, None)
SEEN = SearchProgress("search block 2", "requests/s", 0.95, 30, 60, (RECORD,), None, 60.0, 190, 1.5, {"tokens": 1000.0})


def test_it_draws_the_block_the_budget_and_the_blocks_before() -> None:
    out = io.StringIO()
    Console(file=out, width=120).print(drawing(SEEN))
    text = out.getvalue()
    assert "search block 2" in text
    assert "30 of 60 requests" in text
    assert "190 requests, 1.0 minutes, 1.50 US dollars; 1,000 tokens left" in text
    assert "75.0%" in text
    assert "yes" in text


def test_the_first_interrupt_stops_the_search_and_the_second_one_the_process() -> None:
    control = SearchControl()
    before = signal.getsignal(signal.SIGINT)
    with CapacityScreen(control, hidden=True):
        os.kill(os.getpid(), signal.SIGINT)
        assert control.stopped
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_on_a_terminal_it_leaves_nothing_behind() -> None:
    out = io.StringIO()
    control = SearchControl()
    control.progress = SEEN
    with CapacityScreen(control, console=Console(file=out, force_terminal=True, width=80)):
        pass
    assert "search block 2" in out.getvalue()
    assert out.getvalue().rstrip().endswith(("\x1b[2K", "\x1b[?25h", "\x1b[1A\x1b[2K"))
