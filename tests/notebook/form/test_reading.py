from __future__ import annotations

import json
from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from basetenkit.notebook.form.reading import by_field, config_in

URL = "http://127.0.0.1:9/v1/chat/completions"


def test_a_config_is_loaded_from_json_or_a_run_and_else_it_says_what_would_do(tmp_path: Path) -> None:
    config = bk.RunConfig(endpoint=bk.Endpoint(url=URL), concurrency=[3])
    form = bk.RunForm()
    form.source.value = config.model_dump_json()
    form.read.click()
    assert form.config == config
    (tmp_path / "c.json").write_text(json.dumps(config.model_dump(mode="json")))
    assert config_in(str(tmp_path / "c.json")) == config
    form.source.value = "nothing"
    form.read.click()
    assert "it contains no config" in form.found.value


def test_a_pasted_command_fills_the_form() -> None:
    form = bk.RunForm()
    form.source.value = f'%genai_bench benchmark --api-base {URL} --traffic-scenario "D(30,10)" --num-concurrency 4'
    form.read.click()
    assert form.config.endpoint.url == URL
    assert (form.config.scenarios, form.config.concurrency) == (["D(30,10)"], [4])
    assert 'role="alert"' not in form.found.value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"genai-bench benchmark --api-base {URL} --dance now", "--dance (unknown"),
        ("genai-bench benchmark --api-base your-endpoint-url", "--api-base: it must be an http:// or https:// URL"),
        ("{", "Invalid JSON"),
        ("/a" * 3000, "it contains no config"),
        ("~nobody-by-this-name/x", "it contains no config"),
    ],
)
def test_what_cannot_be_read_is_said_in_the_form(text: str, words: str) -> None:
    form = bk.RunForm()
    form.source.value = text
    form.read.click()
    assert words in form.found.value


def test_a_form_takes_over_the_config_of_a_saved_run_and_of_a_file(tmp_path: Path) -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=1) as server:
        config = bk.RunConfig(endpoint={"url": server.url}, scenarios="D(20,5)", concurrency=[3], max_requests=3)
        bk.run_sync(config, save_to=tmp_path / "run")
    (tmp_path / "config.json").write_text(config.model_dump_json())
    for place in ("run", "config.json"):
        form = bk.RunForm()
        form.source.value = str(tmp_path / place)
        form.read.click()
        assert form.found.value == ""
        assert form.config == config
        assert form.rows["concurrency"].input.value == "3"


def test_an_error_belongs_to_the_field_in_its_place_and_only_the_first_is_shown() -> None:
    with pytest.raises(ConfigError) as wrong:
        bk.RunConfig(endpoint={"url": "x"}, concurrency=["a", "b"], scenarios=["Q(1)"])
    sentences, rest = by_field(wrong.value.errors, {"url", "concurrency"})
    assert set(sentences) == {"url", "concurrency"}
    assert len(rest) == 1
    assert "scenarios" in rest[0]
