"""An interrupt while another thread is inside polars: that thread's work is done, and the main thread is interrupted once."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from basetenkit.core.interrupts import uninterrupted

SCRIPT = """
import threading, time
import polars as pl
from basetenkit.core.interrupts import uninterrupted

@uninterrupted
def work():
    frame = pl.select(pl.int_range(2_000_000).alias("x")).lazy()
    return frame.with_columns(y=pl.col("x").hash().sort()).select(pl.col("y").n_unique()).collect().item()

over, done, interrupts = threading.Event(), [], 0

def thread():
    while not over.is_set():
        done.append(work())

others = [threading.Thread(target=thread) for _ in range(2)]
for other in others:
    other.start()
while not done:
    time.sleep(0.01)
print("ready", flush=True)
until = time.monotonic() + 60
while time.monotonic() < until and not interrupts:
    try:
        time.sleep(0.05)
    except KeyboardInterrupt:
        interrupts += 1
try:
    time.sleep(2)
except KeyboardInterrupt:
    interrupts += 1
over.set()
for other in others:
    other.join()
print(interrupts, set(done))
"""


def test_the_main_thread_is_interrupted_once_and_the_others_finish_their_work() -> None:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "1 {2000000}\n")


def test_on_the_main_thread_an_interrupt_ends_the_work() -> None:
    def work() -> None:
        raise KeyboardInterrupt

    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(KeyboardInterrupt):
        uninterrupted(work)()
