from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from basetenkit.execution.shutdown import in_progress
from basetenkit.notebook.form.presets import PRESETS

URL = "http://127.0.0.1:9/v1/chat/completions"


def typed(form: bk.RunForm, **values: object) -> None:
    for name, value in values.items():
        form.rows[name].input.value = value


def test_every_field_of_the_models_has_a_row() -> None:
    names = (set(bk.Endpoint.model_fields) | set(bk.RunConfig.model_fields)) - {"endpoint"}
    assert set(bk.RunForm().rows) == names


def test_every_button_and_view_of_the_form_is_shown() -> None:
    form = bk.RunForm()

    def shown(widget: Any) -> Iterator[Any]:
        yield widget
        for child in getattr(widget, "children", ()):
            yield from shown(child)

    drawn = list(shown(form))
    parts = [part for part in vars(form).values() if isinstance(part, ipywidgets.Widget)]
    assert len(parts) > 12
    assert [part for part in parts if part not in drawn] == []


def test_what_is_typed_is_the_config_and_what_is_wrong_stands_beside_its_field() -> None:
    form = bk.RunForm()
    assert form.start_button.disabled
    with pytest.raises(ConfigError, match="url: it is missing"):
        _ = form.config
    typed(form, url=URL, concurrency="4", scenarios="D(30,10), D(40,10)", request_params='{"top_k": 3}')
    expected = bk.RunConfig(
        endpoint=bk.Endpoint(url=URL), concurrency=[4], scenarios=["D(30,10)", "D(40,10)"], request_params={"top_k": 3}
    )
    assert form.config == expected
    assert not form.start_button.disabled
    typed(form, concurrency="four")
    assert "should be a valid integer" in form.rows["concurrency"].sentence.value
    assert 'role="alert"' not in form.rows["url"].sentence.value
    assert form.start_button.disabled
    typed(form, concurrency="")
    assert "no load is given" in form.whole.value


def test_a_key_is_held_and_shown_nowhere() -> None:
    form = bk.RunForm()
    typed(form, url=URL, api_key="sk-held-by-the-kernel")
    assert form.config.endpoint.key({}) == "sk-held-by-the-kernel"
    states = [repr(w.get_state()) for row in form.rows.values() for w in (row, row.input, row.sentence)]
    assert not [s for s in states if "sk-held" in s]
    assert "sk-held" not in form.plan.value + form.python.value + repr(form)


def test_a_form_begins_with_a_config_and_gives_it_back() -> None:
    config = bk.RunConfig(endpoint=bk.Endpoint(url=URL, stream=False), request_rate=[2.5], slo={"ttft_s": 0.5})
    assert bk.RunForm(config).config == config


def test_a_run_is_tried_started_and_stopped_with_what_finished_kept() -> None:
    async def use(form: bk.RunForm) -> None:
        await form._preflight()
        form.start_button.click()
        while form.live is None or form.live.progress["finished"] < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        form.stop_button.click()
        while form.run is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        form = bk.RunForm()
        typed(form, url=server.url, scenarios="D(20,5)", concurrency="2", max_requests="100000")
        asyncio.run(asyncio.wait_for(use(form), 60))
    assert form.run is not None
    assert 4 <= form.run.requests.height < 100_000
    assert not form.run.complete


def test_a_run_is_saved_where_the_form_says_and_its_verdict_is_beside_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(form: bk.RunForm) -> None:
        before = form.run
        form.start_button.click()
        while form.run is before:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    monkeypatch.chdir(tmp_path)
    with bk.emulator.serve(ttft_ms=1, itl_ms=1) as server:
        form = bk.RunForm()
        assert "To start, correct: URL" in form.reason.value
        typed(form, url=server.url, model="org/a model", scenarios="D(20,5)", concurrency="1", max_requests="4")
        assert form.reason.value == ""
        asyncio.run(asyncio.wait_for(use(form), 45))
        first = form.run
        assert first is not None
        assert form.folder.value.startswith("runs/")
        assert form.folder.value.endswith("-org-a-model")
        assert first.folder == Path(form.folder.value)
        assert str(bk.load(tmp_path / form.folder.value).verdict) == str(first.verdict)
        assert first.verdict.sentences[0] in form.answer.value
        form.folder.value = "mine"
        asyncio.run(asyncio.wait_for(use(form), 45))
    assert form.run is not None
    assert form.run.folder == Path("mine")


def test_stop_does_not_wait_for_what_is_in_flight() -> None:
    async def use(form: bk.RunForm) -> None:
        form.start_button.click()
        while form.live is None or not form.live.progress["in_flight"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        form.stop_button.click()
        while form.run is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    with bk.emulator.serve(ttft_ms=600_000) as server:  # far beyond the test's own limit: the answer cannot come
        form = bk.RunForm()
        typed(form, url=server.url, scenarios="D(20,5)", concurrency="2", max_requests="50")
        asyncio.run(asyncio.wait_for(use(form), 120))
    assert form.run is not None
    assert form.run.requests["outcome"].to_list() == ["cancelled"]  # the request before the levels is stopped, too
    assert form.stop_button.disabled
    assert not form.start_button.disabled


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fills_the_form_and_leaves_url_and_key(name: str) -> None:
    form = bk.RunForm()
    typed(form, url=URL, api_key="sk-held-by-the-kernel", max_requests="7")
    form.preset.value = name
    values = PRESETS[name]
    asked = bk.RunConfig(
        **values | {"endpoint": values.get("endpoint", {}) | {"url": URL, "api_key": "sk-held-by-the-kernel"}}
    )
    assert form.config == asked
    assert form.config.endpoint.key({}) == "sk-held-by-the-kernel"


def test_without_a_browser_a_form_is_one_line_that_says_what_it_holds() -> None:
    """A terminal prints the repr; papermill's readers, and VS Code without its widgets, show the text/plain."""
    form = bk.RunForm()
    assert repr(form).startswith("<RunForm: RunConfig.endpoint.url: it is missing")
    typed(form, url=URL, api_key="sk-held-by-the-kernel")
    bundle = form._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    for line in (bundle["text/plain"], repr(form)):
        assert URL in line
        assert "\n" not in line
        assert "sk-held" not in line


def test_every_field_says_what_it_is_for() -> None:
    form = bk.RunForm()
    typed(form, url=URL)
    for row in form.rows.values():
        assert len(row.info.description or "") > 12, row.name
        assert 'role="note"' in row.sentence.value


def test_secrets_of_a_config_are_sent_though_they_are_not_shown() -> None:
    headers = {"Authorization": "Bearer sk-in-a-header", "x-team": "research"}
    endpoint = bk.Endpoint(url=f"{URL}?token=sk-in-the-query", headers=headers)
    config = bk.RunConfig(endpoint=endpoint, request_params={"api_key": "sk-in-the-body", "top_p": 0.9})
    form = bk.RunForm(config)
    assert form.config == config
    assert not [row.name for row in form.rows.values() if "sk-in" in str(row.input.value)]
    typed(form, headers='{"x-team": "other"}')
    assert form.config.endpoint.headers == {"x-team": "other"}
    assert form.config.endpoint.url == endpoint.url


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("headers", '{"Authorization": "Bearer sk-typed", "x-team": "a"}', '{"Authorization": "***", "x-team": "a"}'),
        ("request_params", '{"api_key": "sk-typed", "top_p": 0.5}', '{"api_key": "***", "top_p": 0.5}'),
        ("url", f"{URL}?token=sk-typed", f"{URL}?token=***"),
        ("proxy", "http://me:sk-typed@127.0.0.1:3128", "http://127.0.0.1:3128"),
    ],
)
def test_a_secret_typed_into_any_field_is_held_and_stays_in_no_widget(name: str, text: str, shown: str) -> None:
    form = bk.RunForm()
    typed(form, url=URL)
    typed(form, **{name: text})
    row = form.rows[name]
    assert row.input.value == shown
    assert not row.input.trait_metadata("value", "echo_update")
    assert not row.input.continuous_update
    expected = bk.RunConfig(endpoint={"url": URL}) if name == "request_params" else bk.Endpoint(url=URL)
    model = type(expected).model_validate({**expected.model_dump(), name: text})
    owner = form.config if name == "request_params" else form.config.endpoint
    assert getattr(owner, name) == getattr(model, name)
    assert "sk-typed" not in "".join(str(w.get_state()) for w in inputs_of(form))
    if "***" in shown:
        typed(form, **{name: f" {shown}"})
        assert "type the secret itself" in row.sentence.value
        assert form.start_button.disabled


def inputs_of(form: bk.RunForm) -> list[Any]:
    views = [
        form.source,
        form.body,
        form.python,
        form.plan,
        form.whole,
        form.found,
        form.reason,
        form.answer,
        form.folder,
    ]
    return [*views, *(part for row in form.rows.values() for part in row.children)]


@pytest.mark.parametrize(
    "text",
    [
        f"genai-bench benchmark --api-base {URL} --api-key sk-typed --no-such-flag",
        '{"endpoint": {"url": "x://y", "api_key": "sk-typed"}}',
        '{"endpoint": {"url": "x://y", "api_key": "sk-typed"',
    ],
)
def test_what_cannot_be_read_is_left_to_be_mended_without_its_key(text: str) -> None:
    form = bk.RunForm()
    form.source.value = text
    for _ in range(2):  # pressed again, it means what was pasted
        form.read.click()
        said = form.found.value
        assert 'role="alert"' in said
        assert "type the secret" not in said
        assert form.source.value.replace("***", "sk-typed") == text
        assert "sk-typed" not in "".join(str(w.get_state()) for w in inputs_of(form))
    form.source.value += " "
    form.read.click()
    assert "type the secret itself" in form.found.value


def test_a_frame_as_the_data_set_is_named_kept_and_has_no_cell_of_python() -> None:
    frame = pl.DataFrame({"prompt": ["tea", "milk"]})
    form = bk.RunForm(bk.RunConfig(endpoint=bk.Endpoint(url=URL), dataset=frame))
    assert form.rows["dataset"].input.value == "a DataFrame in memory"
    assert form.config.dataset.equals(frame)
    assert "save it (write_parquet)" in form.python.value
    typed(form, dataset="")
    assert form.config.dataset is None


def test_a_pasted_key_is_held_and_does_not_stay_where_it_was_pasted() -> None:
    form = bk.RunForm()
    command = f"genai-bench benchmark --api-backend openai --api-base {URL} --api-key sk-pasted --api-model-name m"
    form.source.value = f"{command} --task text-to-text"
    form.read.click()
    assert form.config.endpoint.key({}) == "sk-pasted"
    assert form.source.value == ""
    assert not form.source.trait_metadata("value", "echo_update")


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.05)


def test_start_says_why_not_while_the_data_set_or_the_tokenizer_is_not_there(tmp_path: Path) -> None:
    async def use() -> None:
        form = bk.RunForm()
        typed(form, url=URL, dataset=str(tmp_path / "no.csv"))
        await until(lambda: form.start_button.disabled)
        assert "no.csv" in form.reason.value
        typed(form, dataset="")
        await until(lambda: not form.start_button.disabled)
        typed(form, tokenizer=str(tmp_path / "no-tokenizer"))
        await until(lambda: form.start_button.disabled)
        assert "no-tokenizer" in form.reason.value
        assert 'role="alert"' in form.reason.value
        (tmp_path / "no.csv").write_text("prompt\ntea\n")
        typed(form, tokenizer="embedded", dataset=str(tmp_path / "no.csv"))
        await until(lambda: not form.start_button.disabled)

    asyncio.run(asyncio.wait_for(use(), 60))


def test_two_forms_at_once_both_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(one: bk.RunForm, other: bk.RunForm) -> None:
        await until(lambda: not in_progress())  # the runs of other tests have ended
        for form in (one, other):
            form.start_button.click()
            await until(lambda form=form: form.live is not None)  # type: ignore[misc]
        await until(lambda: "1 other run in this notebook is in progress" in one.reason.value)
        assert "1 other run in this notebook is in progress" in other.reason.value
        one.stop_button.click()
        await until(lambda: one.run is not None and "other run" not in other.reason.value)
        assert "1 other run" in one.reason.value
        other.stop_button.click()
        await until(lambda: other.run is not None and one.reason.value == "")

    monkeypatch.chdir(tmp_path)
    with bk.emulator.serve(ttft_ms=600_000) as server:
        forms = bk.RunForm(), bk.RunForm()
        for form in forms:
            typed(form, url=server.url, scenarios="D(20,5)", concurrency="1")
        asyncio.run(asyncio.wait_for(use(*forms), 120))
    assert forms[0].folder.value != forms[1].folder.value


def test_a_preflight_that_fails_looks_different_from_one_that_succeeds() -> None:
    form = bk.RunForm()
    typed(form, url=URL)
    asyncio.run(form._preflight())
    assert "✗" in form.found.value
    assert form.found.value.lstrip().startswith('<p role="alert" class="bk-wrong"')
    with bk.emulator.serve(ttft_ms=1, itl_ms=1) as server:
        typed(form, url=server.url)
        asyncio.run(form._preflight())
    assert "✓ The endpoint answers" in form.found.value
    assert "bk-wrong" not in form.found.value
