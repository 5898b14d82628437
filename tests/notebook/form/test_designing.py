from __future__ import annotations

import pytest

import basetenkit as bk


@pytest.fixture(scope="module")
def run() -> bk.Run:
    with bk.emulator.serve(ttft_ms=10, itl_ms=1, jitter=0.3) as server:
        config = bk.RunConfig(endpoint=bk.Endpoint(url=server.url, model="m"), scenarios="D(30,10)", concurrency=2)
        return bk.run_sync(config.with_(max_requests=100))


def test_a_design_fills_in_the_form(run: bk.Run) -> None:
    form = bk.RunForm(run.config)
    designing = form.designing
    designing.question.value, designing.budget.value = "ttft p50 within 20%", "1000 requests"
    designing.make.click()
    assert "half" not in designing.shown.value
    assert "only a wide range is known" in designing.shown.value
    form.run = run  # a run of these levels is the pilot
    designing.make.click()
    assert designing.found is not None
    assert designing.found.reached
    assert "The budget is enough" in designing.shown.value
    designing.take.click()
    assert form.config.max_requests == designing.found.config.max_requests
    assert form.config.repeats == designing.found.config.repeats


def test_a_run_of_other_levels_is_no_pilot(run: bk.Run) -> None:
    form = bk.RunForm(run.config.with_(concurrency=[4]))
    form.run = run
    form.designing.question.value, form.designing.budget.value = "p50 within 20%", "1000 requests"
    form.designing.make.click()
    assert form.designing.found is not None
    assert form.designing.found.reached is None


def test_a_comparison_shows_the_line_to_run(run: bk.Run) -> None:
    form = bk.RunForm(run.config)
    form.designing.question.value, form.designing.budget.value = "compare A with B", "2000 requests"
    form.designing.make.click()
    assert "bk.compare_endpoints(found.config, config_b" in form.designing.shown.value


def test_what_is_wrong_is_said_in_its_place(run: bk.Run) -> None:
    form = bk.RunForm()
    form.designing.make.click()
    assert "url" in form.designing.shown.value
    assert form.designing.take.disabled
    form.show(run.config)
    form.designing.question.value = "<b>how fast?</b>"
    form.designing.make.click()
    assert 'role="alert"' in form.designing.shown.value
    assert "<b>how" not in form.designing.shown.value
