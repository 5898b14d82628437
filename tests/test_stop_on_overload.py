"""An open loop whose endpoint cannot keep up stops by itself, where that was asked for."""

from __future__ import annotations

import pytest

import basetenkit as bk


@pytest.mark.thorough
def test_a_level_whose_endpoint_falls_behind_stops_by_itself() -> None:
    with bk.emulator.serve(ttft_ms=20, itl_ms=10, max_concurrency=4) as server:  # 20 requests per second at most
        config = bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=bk.Endpoint(url=server.url, model="m"),
            scenarios="D(10,18)",
            request_rate=40,
            max_requests=4000,
            max_seconds=90,
            stop_on_overload=True,
            workers=2,
        )
        run = bk.run_sync(config)
    (level,) = run.metadata["levels"]
    assert level["ended_by"]["reason"] == "overload"
    assert 0 < level["ended_by"]["early"] < level["ended_by"]["late"]
    fates = run.fates.row(0, named=True)
    assert 0 < fates["ok"] < fates["sent"] < 4000
    assert fates["sent"] + fates["never_sent"] == 4000
    assert fates["ok"] + fates["cancelled"] == fates["sent"]
    assert level["done"]
    assert not run.complete
