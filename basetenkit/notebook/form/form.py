"""RunForm: a form in JupyterLab to fill in a RunConfig, preview it, and start, watch and stop its run.

The rows are made from the models' own schema (`fields.py`); only the groups are defined here, and a field that no group names
is among the extras. Callbacks run on the notebook kernel's loop and never block it: long work runs in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import weakref
from collections.abc import Coroutine, Mapping
from itertools import count
from pathlib import Path

import ipywidgets as w
from traitlets.utils.bunch import Bunch

from ...analysis.expected import plan
from ...config.endpoint import Endpoint
from ...config.run_config import RunConfig
from ...core.errors import BasetenkitError, ConfigError, Location
from ...core.markup import render
from ...core.types import JsonObject
from ...execution.checks import check_supported
from ...execution.shutdown import in_progress
from ...runs import Run
from ...session import LiveRun, start
from ...studies.preflight import preflight
from ..live.live import LiveView
from .capacity_tab import TITLE, CapacityTab
from .designing import Designing
from .fields import MASK, TYPE_AGAIN, FieldRow, PastedText, field_row, masked
from .fold import Fold
from .presets import PRESETS
from .preview import first_body
from .reading import by_field, config_in
from .words import label

_GROUPS = {
    "Endpoint": ("url", "model", "api_key", "request_format", "stream"),
    "What to send": ("task", "scenarios", "tokenizer", "request_params", "dataset", "batch_size"),
    "Load": ("concurrency", "request_rate", "max_requests", "warmup_requests", "repeats"),
    "Service levels and limits": ("slo", "max_seconds", "timeout_s", "max_total_tokens", "abort_after_failures"),
}
_PLAN = "{% for name, text in words.items() %}<div class='bk-plan'><span>{{ name }}</span>{{ text }}</div>{% endfor %}"
_ENDED = "{{ alert }}<p role='status'>{{ run }}, in <code>form.run</code>; saved in {{ folder }}</p>"
_ALERT = """
<p role="alert" class="bk-wrong">{% for line in lines %}{{ line }}{% if not loop.last %}<br>{% endif %}{% endfor %}</p>"""
_REASON = """
{% if names %}<p role="status">To start, correct: {{ names | join(", ") }}</p>{% endif %}
{% if missing %}<p role="alert" class="bk-wrong">It cannot start: {{ missing }}</p>{% endif %}
{% if others %}<p role="alert" class="bk-wrong">{{ others }} in this notebook {{ "is" if n == 1 else "are" }} in progress. Runs
at the same time share this process and perhaps the endpoint: the figures of each then count the load of others.</p>{% endif %}"""
_FOLDS = ("Extras", "Load a config, a run or a command", "The JSON body that is sent", "The same in Python", "Design")
_PREVIEW_AFTER_S = 0.4


class RunForm(w.VBox):  # type: ignore[misc]
    """A form for a RunConfig. `config`: the initial values. `.config` is the RunConfig of the current values, or raises a
    ConfigError that says what is wrong; `.run` is the last Run of this form, `.live` the LiveRun in progress."""

    def __init__(self, config: RunConfig | None = None) -> None:
        self.run: Run | None = None
        self.live: LiveRun | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: asyncio.TimerHandle | None = None
        self._quiet = False
        self._pasted = ("", "")  # the source's text, and the text with its secrets
        self._wrong: list[str] = []  # the labels of the fields to correct
        self._missing = ""  # why the first request cannot be made: a data set or a tokenizer that is not there
        self.rows = {
            n: FieldRow(n, i)
            for m in (Endpoint, RunConfig)
            for n, i in m.model_fields.items()
            if i.annotation is not Endpoint
        }
        self._make_buttons()
        self._make_views()
        super().__init__(self._groups(), layout=w.Layout(width="100%"))
        self.add_class("bk-form")
        for row in self.rows.values():
            row.input.observe(lambda _, row=row: self._typed(row), "value")
        if config is not None:
            self.show(config)
        self._check()
        _forms.add(self)

    # -- what it is made of ------------------------------------------------------------------------------------------

    def _make_buttons(self) -> None:
        self.preflight_button = w.Button(description="Preflight", tooltip="Send one small request and show the result")
        self.start_button = w.Button(description="Start", button_style="primary", tooltip="Start the run")
        self.stop_button = w.Button(
            description="Stop", tooltip="Stop the run; finished requests are kept", disabled=True
        )
        handlers = {"preflight": self._preflight, "start": self._start}
        for name, work in handlers.items():
            getattr(self, f"{name}_button").on_click(lambda _, work=work: self._spawn(work()))
        self.stop_button.on_click(lambda _: self.live.stop("Stop was pressed") if self.live else None)
        for name in ("preflight", "start", "stop"):
            getattr(self, f"{name}_button").add_class(f"bk-{name}")

    def _make_views(self) -> None:
        wide = w.Layout(width="100%", height="90px")
        self.preset = w.Dropdown(
            options=["", *PRESETS],
            description="begin with",
            tooltip="A preset to start with",
            layout=w.Layout(width="auto"),
        )
        self.source = PastedText(
            placeholder="A config's JSON, the folder of a run, or a genai-bench command", layout=wide
        )
        self.read = w.Button(description="Load it", tooltip="Fill in the form from the text above")
        self.folder = w.Text(
            placeholder="runs/ with date and model", description="save to", layout=w.Layout(width="auto")
        )
        self._proposed = ""
        self.whole, self.reason, self.answer = w.HTML(), w.HTML(), w.HTML()
        self.body, self.plan, self.python = w.HTML(), w.HTML(), w.HTML()
        self.found, self.view = w.HTML(), LiveView()
        self.designing = Designing(lambda: self.config, lambda: self.run, self.show)
        self.preset.observe(self._preset_chosen, "value")
        self.read.on_click(lambda _: self._load())

    def _groups(self) -> list[object]:
        grouped = {name for names in _GROUPS.values() for name in names}
        parts: list[object] = [field_row(self.preset, "a preset; it does not change the URL and the key")]
        for title, names in _GROUPS.items():
            parts += [w.HTML(f"<h3>{title}</h3>"), *(self.rows[n] for n in names)]
        parts.append(
            field_row(self.folder, "the run's folder; the same settings resume it; empty: a new folder per run")
        )
        buttons = w.HBox(
            [self.preflight_button, self.start_button, self.stop_button], layout=w.Layout(flex_flow="row wrap")
        )
        plan = w.HTML("<h3>The plan</h3>")
        fields, side = w.VBox(parts), w.VBox([plan, self.plan, buttons, self.reason, self.whole, self.answer])
        columns = w.HBox([fields, side], layout=w.Layout(width="100%"))
        for part, name in ((fields, "bk-fields"), (side, "bk-side"), (columns, "bk-columns")):
            part.add_class(name)
        extras = w.VBox([row for name, row in self.rows.items() if name not in grouped])
        self.capacity = CapacityTab(lambda: self.config)
        bodies = [extras, w.VBox([self.source, self.read]), self.body, self.python, self.designing, self.capacity]
        folds = [Fold(title, body) for title, body in zip((*_FOLDS, TITLE), bodies, strict=True)]
        return [columns, *folds, self.found, self.view]

    # -- the configuration -------------------------------------------------------------------------------------------

    @property
    def config(self) -> RunConfig:
        given: dict[str, object] = {name: self.rows[name].given() for name in self.rows}
        endpoint = {name: given.pop(name) for name in Endpoint.model_fields}
        if not endpoint["url"]:
            raise ConfigError(
                f"it is missing; {Endpoint.model_fields['url'].description}", at=("RunConfig", "endpoint", "url")
            )
        return RunConfig(endpoint=endpoint, **given)

    def show(self, config: RunConfig) -> None:
        """Fill in the form from a config. Its secrets (key, headers, the URL's query) and a frame are kept in this object."""
        flat = config.model_dump()
        held = {n: v for n, v in config.endpoint if n != "api_key" and v != flat["endpoint"][n]}
        if config.request_params != flat["request_params"]:
            held["request_params"] = config.request_params
        if not isinstance(config.dataset, (str, dict, type(None))):
            held["dataset"] = config.dataset
        if config.endpoint.api_key is not None:
            self.rows["api_key"].secret = config.endpoint.api_key
        self._fill(flat, held)

    def _fill(self, values: JsonObject, held: Mapping[str, object] | None = None) -> None:
        """Sets every field but URL and key to its default, then `values`; `held`: the values that some of these texts represent."""
        self._quiet = True
        flat = {**{k: v for k, v in values.items() if k != "endpoint"}, **values.get("endpoint", {})}
        try:
            for name, row in self.rows.items():
                if name in flat or name != "url":
                    row.show(flat.get(name, row.default))
            for name, value in (held or {}).items():
                self.rows[name].stand_for(value)
        finally:
            self._quiet = False
        self._check()

    def _preset_chosen(self, change: Bunch) -> None:
        if change["new"]:
            self._fill(PRESETS[change["new"]])

    def _load(self) -> None:
        """Load the pasted text. An error leaves the text for correction. Its secrets are removed from the widget, because a
        notebook may save it."""
        shown, text = self.source.value, self.source.value.strip()
        if shown == self._pasted[0]:
            text = self._pasted[1]
        try:
            if MASK in text:
                raise ConfigError(TYPE_AGAIN)
            self.show(config_in(text))
            self.source.value = ""
            self._say("")
        except (BasetenkitError, OSError, ValueError) as error:
            self._say(str(error))
            self.source.value = masked(shown)
            self._pasted = (self.source.value, text)

    def _typed(self, row: FieldRow) -> None:
        if self._quiet:
            return
        self._quiet = True  # masking is not a change by the user
        try:
            row.take_secret() if row.name == "api_key" else row.mask()
        finally:
            self._quiet = False
        self._check()

    def _check(self) -> None:
        """Show each error next to its field, and errors without a field below."""
        config, errors = None, list[tuple[Location, str]]()
        try:
            config = self.config
            check_supported(config)
        except ConfigError as wrong:
            errors = wrong.errors
        sentences, rest = by_field(errors, set(self.rows))
        for name, row in self.rows.items():
            row.say(sentences.get(name, ""))
        self.whole.value = _alert("\n".join(rest))
        self._wrong, self._missing = [label(name) for name in sentences], ""
        self._wrong += ["the message below"] if rest else []
        self._offer()
        self._preview(None if errors else config)

    def _offer(self) -> None:
        """Start and Preflight, and beside them why they cannot be pressed, or what a person must know before."""
        others = len([live for live in in_progress() if live is not self.live])
        said = f"{others} other {'run' if others == 1 else 'runs'}" if others else ""
        self.reason.value = render(_REASON, names=self._wrong, missing=self._missing, others=said, n=others).strip()
        busy = self.live is not None and not self.live.done
        self.preflight_button.disabled = bool(self._wrong) or busy
        self.start_button.disabled = self.preflight_button.disabled or bool(self._missing)

    # -- what it means -----------------------------------------------------------------------------------------------

    def _preview(self, config: RunConfig | None) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        if config is None:
            self.plan.value = self.body.value = self.python.value = ""
            return
        self.plan.value = render(_PLAN, words=plan(config).words)
        try:
            self.python.value = _pre(config.to_python())
        except ConfigError as error:  # a frame: the run can start, but its config has no text form
            self.python.value = _alert(str(error))
        with contextlib.suppress(RuntimeError):  # without a loop, the body is made on request
            loop = asyncio.get_running_loop()
            self._waiting = loop.call_later(_PREVIEW_AFTER_S, lambda: self._spawn(self._show_body(config)))

    async def _show_body(self, config: RunConfig) -> None:
        made, missing = "", ""
        try:
            made = await asyncio.to_thread(first_body, config)
        except (BasetenkitError, OSError) as error:
            missing = str(error)
        with contextlib.suppress(ConfigError):
            if self.config == config:  # else it has changed meanwhile, and is looked at anew
                self.body.value, self._missing = _alert(missing) or _pre(made), missing
                self._offer()

    # -- what it does ------------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _say(self, text: str) -> None:
        self.found.value = _alert(text)

    async def _preflight(self) -> None:
        self.preflight_button.disabled = True
        self.found.value = "<p role='status'>sending one small request …</p>"
        try:
            self.found.value = (await asyncio.to_thread(preflight, self.config))._repr_mimebundle_()["text/html"]
        except (BasetenkitError, OSError) as error:
            self._say(str(error))
        finally:
            self._check()

    async def _start(self) -> None:
        self.start_button.disabled = True
        self.found.value = self.answer.value = ""
        try:
            folder = self._next_folder()
            self.live = await asyncio.to_thread(start, self.config, save_to=folder)
            self.stop_button.disabled = False
            _offer_all()
            await self.view.follow(self.live)
            self.run = self.live.result()
            told = "\n".join(f"{f.sentence} {f.cure}" for f in self.run.findings if f.code == "nothing_answers")
            self.answer.value = str(self.run.verdict.markup)
            self.found.value = render(_ENDED, alert=_alert(told), run=repr(self.run).splitlines()[0], folder=folder)
        except (BasetenkitError, OSError) as error:
            self._say(str(error))
        finally:
            self.stop_button.disabled = True
            _offer_all()

    def _next_folder(self) -> str:
        """The folder that the run is saved in: as typed; or by date and model, anew at each start."""
        if self.folder.value.strip() and self.folder.value != self._proposed:
            return str(self.folder.value.strip())
        name = re.sub(r"[^\w.-]+", "-", self.rows["model"].input.value.strip())[:40].strip("-.")
        first = Path("runs") / "-".join(filter(None, (time.strftime("%Y%m%d-%H%M%S"), name)))
        named = (first if n == 1 else first.with_name(f"{first.name}-{n}") for n in count(1))
        made = next(folder for folder in named if not folder.exists())  # two forms may start within one second
        self._proposed = self.folder.value = str(made)
        return self._proposed

    def __repr__(self) -> str:
        try:
            return f"<RunForm: {self.config!r}>"
        except ConfigError as error:
            return f"<RunForm: {ConfigError(errors=error.errors[:1])}>"

    def _repr_mimebundle_(self, **kw: object) -> JsonObject:
        bundle: JsonObject = super()._repr_mimebundle_(**kw)
        return {**bundle, "text/plain": repr(self)}


_forms: weakref.WeakSet[RunForm] = weakref.WeakSet()


def _offer_all() -> None:
    """A run that begins or ends changes what every form of this notebook says beside Start."""
    for form in list(_forms):
        form._offer()


def _alert(text: str) -> str:
    return render(_ALERT, lines=text.split("\n")) if text else ""


def _pre(text: str) -> str:
    return render("<pre>{{ text }}</pre>", text=text)
