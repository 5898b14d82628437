from __future__ import annotations

import pytest

import basetenkit as bk
from basetenkit.storage.bucket import Bucket
from basetenkit.storage.troubles import BucketError, Trouble

from .bucket_server import SECRET, Answer, Store

URL = "s3://bkt/a/b"


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (Answer(403, "AccessDenied"), Trouble.DENIED),
        (Answer(400, "ExpiredToken"), Trouble.EXPIRED),
        (Answer(403, "RequestTimeTooSkewed"), Trouble.SKEWED),
        (Answer(404, "NoSuchBucket"), Trouble.NO_BUCKET),
        (Answer(503, "SlowDown"), Trouble.BUSY),
        (Answer(500, "InternalError"), Trouble.FAILED),
        (Answer(cut=True), Trouble.UNREACHABLE),
        (Answer(wait_s=1.5), Trouble.TIMEOUT),
    ],
)
def test_each_failure_is_one_sentence_that_says_why_and_holds_no_secret(
    bucket_store: Store, answer: Answer, trouble: Trouble
) -> None:
    bucket = Bucket(bk.Storage(URL, timeout_s=0.5), retries=1, retry_s=2)
    bucket_store.fault = lambda *_: answer
    for ask in (lambda: bucket.put("x", b"1"), lambda: bucket.get("x"), bucket.listed):
        with pytest.raises(BucketError) as caught:
            ask()
        assert caught.value.trouble is trouble
        text = str(caught.value)
        assert text.startswith("s3://bkt/a/b: ")
        assert "\n" not in text
        assert SECRET not in text
        assert "GOODKEYID" not in text
