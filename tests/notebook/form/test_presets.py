from __future__ import annotations

import json
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.config.tasks import TASKS
from basetenkit.execution.checks import check_supported
from basetenkit.notebook.form.presets import PRESETS
from basetenkit.notebook.form.preview import first_body

URL = {"url": "http://127.0.0.1:9/v1"}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_a_config_that_can_be_run(name: str) -> None:
    values: dict[str, Any] = PRESETS[name]
    config = bk.RunConfig(**values | {"endpoint": values.get("endpoint", {}) | URL})
    assert config.endpoint.url == URL["url"]
    check_supported(config)  # raises where Start would stay grey


def test_there_is_one_for_each_task() -> None:
    assert set(TASKS) == {values.get("task", "text-to-text") for values in PRESETS.values()}


def test_a_preset_sends_in_the_format_that_the_form_shows() -> None:
    form = bk.RunForm()
    form.rows["url"].input.value = URL["url"]
    form.preset.value = "Baseten: simple prompt"
    assert form.rows["request_format"].input.value == "prompt"
    form.rows["tokenizer"].input.value = "embedded"  # the preset's own is on the hub
    body = json.loads(first_body(form.config))
    assert body["prompt"]
    assert "messages" not in body
