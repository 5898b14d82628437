from __future__ import annotations

import threading
from datetime import timedelta

import pytest

import basetenkit as bk
from basetenkit.storage import lock
from basetenkit.storage.bucket import Bucket
from basetenkit.storage.lock import BucketLock, LockLost

from .bucket_server import Answer, Store


def bucket() -> Bucket:
    return Bucket(bk.Storage("s3://bkt/r"))


def test_of_many_who_want_a_lock_one_gets_it(bucket_store: Store) -> None:
    got, refused = list[BucketLock](), list[str]()

    def want(number: int) -> None:
        try:
            got.append(BucketLock.take(bucket(), f"spool {number}"))
        except bk.errors.StoreError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=want, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 11)
    got[0].release()
    assert bucket_store.names() == []


@pytest.mark.parametrize("skew", [timedelta(), timedelta(hours=5), timedelta(hours=-5)])
def test_a_lock_that_was_not_renewed_is_taken_over_whatever_the_clocks_say(
    bucket_store: Store, skew: timedelta
) -> None:
    bucket_store.clock = skew
    first = BucketLock.take(bucket(), "here")
    with pytest.raises(bk.errors.StoreError, match=r"last seen \d+ s ago; .* call again in \d+ s"):
        BucketLock.take(bucket(), "there")
    bucket_store.clock += timedelta(seconds=lock.LEASE_S + 1)
    second = BucketLock.take(bucket(), "there")
    with pytest.raises(LockLost):
        first.renew(force=True)
    first.release()  # it is not the first one's any more
    second.renew(force=True)
    second.release()
    assert bucket_store.names() == []


def test_a_lock_that_is_renewed_stays(bucket_store: Store) -> None:
    held = BucketLock.take(bucket(), "here")
    for _ in range(3):
        bucket_store.clock += timedelta(seconds=lock.LEASE_S - 1)
        held.renew(force=True)
        with pytest.raises(bk.errors.StoreError, match="another run is writing"):
            BucketLock.take(bucket(), "there")


def test_what_a_process_of_the_same_spool_left_behind_is_taken_over_at_once(bucket_store: Store) -> None:
    BucketLock.take(bucket(), "here")
    again = BucketLock.take(bucket(), "here")
    again.renew(force=True)
    with pytest.raises(bk.errors.StoreError, match="another run is writing"):
        BucketLock.take(bucket(), "there")


def test_an_answer_that_was_lost_makes_our_own_lock_no_foreign_one(bucket_store: Store) -> None:
    lost = [Answer(503, after=True), Answer(503, after=True)]
    bucket_store.fault = lambda method, name: lost.pop() if lost and method == "PUT" else None
    held = BucketLock.take(bucket(), "here")
    lost.append(Answer(503, after=True))
    held.renew(force=True)
    assert lost == []


def test_without_conditional_writes_it_is_said_and_a_writer_is_still_seen(bucket_store: Store) -> None:
    bucket_store.conditional = False
    assert not BucketLock.take(bucket(), "here").conditional
    with pytest.raises(bk.errors.StoreError, match="another run is writing"):
        BucketLock.take(bucket(), "there")
