from __future__ import annotations

import basetenkit as bk


def test_a_run_shows_its_levels_and_findings_and_a_live_run_one_line() -> None:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        endpoint = bk.Endpoint(url=server.url)
        config = bk.RunConfig(
            steady=False, preflight=False, endpoint=endpoint, scenarios="D(20,5)", concurrency=[2], max_requests=6
        )
        live = bk.start(config)
        run = live.result(30)
    line = live._repr_mimebundle_()
    shown = run._repr_mimebundle_()
    assert "6 of 6 requests" in line["text/plain"]
    assert line["text/plain"].endswith("done")
    assert shown["text/plain"].startswith(f"{run.verdict}\n<Run: 6 requests in 1 level(s), 6 ok>")
    assert "TTFT p50, ms" in shown["text/plain"]
    assert shown["text/html"].startswith('<p class="bk-verdict"')
    assert "<p>&lt;Run: 6 requests" in shown["text/html"]
    for finding in run.findings:
        assert finding.code in shown["text/plain"]
