from __future__ import annotations

import asyncio

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from basetenkit.notebook.form.capacity_tab import CapacityTab


def test_it_searches_with_the_config_of_the_form_and_shows_the_answer() -> None:
    with bk.emulator.serve(ttft_ms=20, itl_ms=1, batch_slope_ms=40) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        config = bk.RunConfig(endpoint=endpoint, scenarios="D(10,3)", slo={"e2e_s": 0.4})
        tab = CapacityTab(lambda: config)
        tab.load.value, tab.minutes.value = "concurrency", 0.1
        asyncio.run(tab.search())
    assert tab.found is not None
    assert tab.found.load == "concurrency"
    assert tab.found.sentence.split(",")[0] in tab.answer.value
    assert len(tab.running.children) == 1
    assert not tab.start_button.disabled


def test_what_is_wrong_is_shown() -> None:
    def broken() -> bk.RunConfig:
        raise ConfigError("the form has <no> URL")

    tab = CapacityTab(broken)
    asyncio.run(tab.search())
    assert "the form has &lt;no&gt; URL" in tab.answer.value
    tab = CapacityTab(lambda: bk.RunConfig(endpoint="http://127.0.0.1:9/v1/chat/completions"))
    asyncio.run(tab.search())
    assert "no limit is given" in tab.answer.value
    tab.usd.value = 2.0
    asyncio.run(tab.search())
    assert tab.budget == bk.Budget(minutes=30, usd=2)
    assert 'role="alert"' in tab.answer.value


def test_the_form_has_it_among_its_folds() -> None:
    form = bk.RunForm(bk.RunConfig(endpoint="http://127.0.0.1:9/v1/chat/completions"))
    assert isinstance(form.capacity, CapacityTab)
    assert form.capacity._config_now().endpoint.url == "http://127.0.0.1:9/v1/chat/completions"
