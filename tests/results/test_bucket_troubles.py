"""What a store or a disk does wrong before and during a run: one sentence each, nothing is lost, and the same call goes on."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.results.bucket_run import NOT_UPLOADED

from ..storage.bucket_server import Answer, Store
from ..storage.conftest import bucket_store
from ..storage.keeping import config

__all__ = ["bucket_store"]
URL = "s3://bkt/runs/first"
FAULTS = [
    (Answer(403, "AccessDenied"), r"S3 refuses these credentials \(AccessDenied\)"),
    (Answer(403, "ExpiredToken"), r"the credentials have expired \(ExpiredToken\); renew them"),
    (Answer(403, "RequestTimeTooSkewed"), "this machine's clock differs from that of S3"),
    (Answer(404, "NoSuchBucket"), r"there is no such bucket \(NoSuchBucket\)"),
    (Answer(503, "SlowDown"), r"S3 takes no more requests for now \(SlowDown\)"),
    (Answer(wait_s=1.0), "S3 did not answer in time"),
    (Answer(cut=True), "S3 cannot be reached"),
]
faults = pytest.mark.parametrize(("fault", "said"), FAULTS, ids=[said[:20] for _, said in FAULTS])


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        yield server


def sent(server: Any) -> int:
    return len(server.truth()["requests"])


def impatient() -> bk.Storage:
    return bk.Storage(URL, retry_s=0.1, timeout_s=0.3)


@faults
def test_a_store_that_fails_before_the_run_is_one_sentence_and_nothing_is_sent(
    bucket_store: Store, server: Any, tmp_path: Path, fault: Answer, said: str
) -> None:
    bucket_store.fault = lambda *_: fault
    before = sent(server)
    with pytest.raises(bk.errors.StoreError, match=f"{URL}: {said}") as told:
        bk.run_sync(config(server), save_to=impatient())
    assert "\n" not in str(told.value)
    assert sent(server) == before
    assert not list((tmp_path / "spool").iterdir())
    bucket_store.fault = lambda *_: None
    assert bk.run_sync(config(server), save_to=URL).complete


@faults
def test_a_store_that_fails_to_the_end_loses_nothing_and_the_same_call_uploads_the_rest(
    bucket_store: Store, server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: Answer, said: str
) -> None:
    bucket_store.fault = lambda method, name: fault if "levels/" in name else None
    run = bk.run_sync(config(server), save_to=impatient())
    (told,) = [one for one in run.findings if one.code == NOT_UPLOADED]
    spool = Path(told.fields["spool"])
    assert spool.is_relative_to(tmp_path / "spool")
    assert str(spool) in told.sentence
    assert "\n" not in told.sentence
    assert re.search(said, told.sentence)
    assert str(spool) in capsys.readouterr().err
    assert bk.load(spool).requests.equals(run.requests)
    partial = bk.load(URL)
    assert not partial.complete
    before = sent(server)
    bucket_store.fault = lambda *_: None
    assert bk.run_sync(config(server), save_to=URL).complete
    assert sent(server) == before
    assert bk.load(URL).requests.equals(run.requests)
    del run
    assert not spool.exists()


def test_a_spool_that_cannot_be_made_is_named(
    bucket_store: Store, server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BASETENKIT_SPOOL", str(tmp_path / "file"))
    with pytest.raises(bk.errors.StoreError, match=r"cannot be written .*; give another with BASETENKIT_SPOOL"):
        bk.run_sync(config(server), save_to=URL)


READ = """
import resource, sys
import basetenkit as bk
run = bk.load(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
run.requests
"""


def test_a_disk_that_is_full_while_a_run_is_read_is_one_sentence(bucket_store: Store, server: Any) -> None:
    bk.run_sync(config(server), save_to=URL)
    done = subprocess.run([sys.executable, "-c", READ, URL], capture_output=True, text=True, check=False, timeout=120)
    last = done.stderr.strip().splitlines()[-1]
    assert f"StoreError: {URL} is read by way of " in last
    assert "cannot be written" in last


FULL = """
import os, pathlib, resource, sys, time
import basetenkit as bk
from tests.storage.keeping import config
class Server:
    url = sys.argv[1]
live = bk.start(config(Server, max_requests=1500), save_to=bk.Storage(sys.argv[2], retry_s=0.1))
while not list(pathlib.Path(os.environ["BASETENKIT_SPOOL"]).glob("*/levels/001/requests-*")):
    time.sleep(0.001)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
live.result(100)
"""


def test_a_full_disk_is_one_sentence_that_names_the_spool_and_the_same_call_goes_on(
    bucket_store: Store, server: Any, tmp_path: Path
) -> None:
    """A limit on the size of files stands for the disk: each write fails after the first level."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, server.url, URL], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1, done.stdout
    last = done.stderr.strip().splitlines()[-1]
    assert f"StoreError: the run folder {tmp_path / 'spool'}" in last
    assert "cannot be written" in last
    before = sent(server)
    run = bk.run_sync(config(server, max_requests=1500), save_to=URL)
    assert run.complete
    assert sent(server) == before + 1500, "the first level is not sent again"
    assert bk.load(URL).requests.equals(run.requests)
