from __future__ import annotations

import asyncio

import basetenkit as bk
from basetenkit.notebook.live.capacity_view import CapacityView, blocks_html, now_html, posterior_svg
from basetenkit.stats.capacity import Evidence, posterior
from basetenkit.studies.capacity_blocks import BlockRecord
from basetenkit.studies.capacity_control import SearchControl, SearchProgress

RECORDS = (
    BlockRecord(2.0, "bracket", 9.0, 160, 60, 60.0, 0, None, False, 1.0, 2.0, 10, None),
    BlockRecord(4.0, "search", 9.0, 400, 300, 150.0, 0, 9.0, True, 1.0, 2.0, 10, None),
)
SEEN = SearchProgress("search block 3 at 3 requests/s", "requests/s", 0.95, 10, 60, RECORDS, None, 90.0, 570, 0.5)


def test_it_shows_the_present_block_the_blocks_and_the_rest_of_the_budget() -> None:
    now = now_html(SearchProgress(**(vars(SEEN) | {"left": {"minutes": 3.5, "usd": 1.25}})))
    assert "10 of 60 requests" in now
    assert "570 requests in 1.5 minutes for 0.50 US dollars" in now
    assert "3.5 minutes, 1.25 US dollars left" in now
    assert "no interval yet" in now
    rows = blocks_html(SEEN)
    assert rows.count("<tr>") == 3
    assert "50.0%" in rows
    assert rows.count("early") == 1
    assert blocks_html(SearchProgress("x", "requests/s", 0.95)) == ""


def test_the_posterior_is_drawn_once_there_is_one() -> None:
    assert posterior_svg(SEEN) == ""
    found = posterior([Evidence(2.0, 900, 890.0), Evidence(4.0, 900, 450.0)], 0.95, 1.0, 6.0)
    drawn = posterior_svg(SearchProgress(**(vars(SEEN) | {"posterior": found})))
    assert f"{found.value:.3g} requests/s (95% interval" in drawn
    assert drawn.count(",") > 100


def test_it_follows_a_search_and_stop_keeps_what_there_is() -> None:
    async def main(url: str) -> tuple[CapacityView, bk.Capacity]:
        control = SearchControl()
        config = bk.RunConfig(endpoint=bk.Endpoint(url=url, model="m"), scenarios="D(10,5)")
        search = asyncio.ensure_future(
            bk.capacity(config, slo={"e2e_s": 0.5}, load="concurrency", budget={"requests": 5000}, control=control)
        )
        view = CapacityView(control, search)
        while not (control.progress and control.progress.records):  # noqa: ASYNC110 - nothing sets an event here
            await asyncio.sleep(0.05)
        view.show()
        assert "bracket" in view.blocks.value
        view.stop()
        return view, await search

    with bk.emulator.serve(ttft_ms=20, itl_ms=1, batch_slope_ms=20) as server:
        view, found = asyncio.run(main(server.url))
    assert view.stop_button.disabled
    assert found.frame.height >= 1
    assert found.certificate == "not run"
    assert not found.resolved
    assert "stopped" in repr(view) or "block" in repr(view)
    assert "not started yet" in repr(CapacityView(SearchControl()))
