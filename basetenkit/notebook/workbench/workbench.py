"""ResponseWorkbench: a notebook widget to inspect, edit and save one response.

Every view is of one ParserCase. Whatever changes it (an edit, a setting, a step along the arrivals) parses it again with
the parser that the engine uses, so that what is seen here is what a run would have made of the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import ipywidgets as w
from traitlets.utils.bunch import Bunch

from ...core.errors import BasetenkitError
from ...core.types import JsonObject
from ...parsing import ParsedResponse
from ...runs import Run
from . import panels as panels
from .bytes import PAGE, decoded, from_hex, from_text, segments, spliced, until
from .bytes_view import ArrivalStrip, BytesView
from .source import ResponseSource, choices, from_run, headers_in, headers_out, kept, pasted, source

_FIELDS = ("status", "stream", "response_path", "prompt", "inputs", "max_tokens")


class ResponseWorkbench(w.VBox):  # type: ignore[misc]
    """A notebook widget to inspect and edit one response. `run_or_case`: a Run (choose one of its saved exchanges), a
    ParserCase, an Exchange, or anything that `bk.parse` takes; None shows a small example, which you can replace by pasting.

    `.case` is the edited ParserCase, `.parsed` the result of parsing it up to the chosen step.
    """

    def __init__(self, run_or_case: object = None) -> None:
        self._run = run_or_case if isinstance(run_or_case, Run) else None
        self._kept = kept(self._run) if self._run is not None else None
        self._quiet, self._page, self._range = False, 0, (0, 0)
        self._make_input()
        self._make_views()
        self._make_export()
        super().__init__(self._rows())
        self.add_class("bk-workbench")
        self.layout.width = "100%"
        if self._run is None:
            self.show(run_or_case)
        elif self.request.value is not None:
            self._take(from_run(self._run, self.request.value))
        else:
            self.show(b"")
            self._say(f"this run kept no raw bytes (capture={self._run.config.capture!r}); run with capture='all'")

    # -- what it is made of ------------------------------------------------------------------------------------------

    def _make_input(self) -> None:
        wide = w.Layout(width="100%")
        options = [] if self._kept is None else choices(self._kept)
        self.request = w.Dropdown(options=options, description="Request", layout=w.Layout(width="min(520px, 100%)"))
        self.search = w.Text(placeholder="part of an id, or an outcome", description="Find", continuous_update=False)
        self.paste = w.Textarea(
            placeholder="What curl -i printed, or a bare body",
            tooltip="The response to read",
            layout=w.Layout(width="calc(100% - 4px)", height="110px"),
        )
        self.form = w.Dropdown(options=["text", "hex", "base64"], description="Written as")
        self.read = w.Button(description="Read it", button_style="primary", tooltip="Parse what was pasted")
        self.status = w.IntText(200, description="Status")
        self.stream = w.Checkbox(True, description="A stream was asked for", indent=False)
        self.response_path = w.Text(description="Path", placeholder="e.g. output.0.text")
        self.prompt = w.Text(description="Prompt", placeholder="to see whether it is echoed")
        self.inputs = w.Text(description="Inputs", placeholder="embeddings asked for")
        self.max_tokens = w.Text(description="Max tokens", placeholder="most that were allowed")
        self.headers = w.Textarea(description="Headers", layout=w.Layout(width="calc(100% - 4px)", height="90px"))
        settings = w.GridBox(
            [self.status, self.response_path, self.prompt, self.inputs, self.max_tokens, self.stream],
            layout=w.Layout(width="100%", grid_template_columns="repeat(auto-fill, minmax(310px, 1fr))"),
        )
        pasting = w.VBox([self.paste, w.HBox([self.form, self.read])], layout=wide)
        self.folds = w.Accordion(
            [pasting, w.VBox([settings, self.headers], layout=wide)], layout=w.Layout(width="auto")
        )
        self.folds.titles = ("Paste a response", "How it is read: status, headers, stream, path")
        self.read.on_click(lambda _: self._guarded(lambda: self._take(pasted(self.paste.value, self.form.value))))
        self.request.observe(self._picked, "value")
        self.search.observe(self._searched, "value")
        for field in (*_FIELDS, "headers"):
            getattr(self, field).continuous_update = False
            getattr(self, field).observe(self._set, "value")

    def _make_views(self) -> None:
        self.message = w.HTML()
        self.verdict = w.HTML()
        self.strip = ArrivalStrip()
        self.step = w.IntSlider(0, 0, 0, description="Reads", continuous_update=True, layout=w.Layout(width="300px"))
        self.play = w.Play(interval=400, min=0, max=0, show_repeat=False)
        self.moment = w.Label()
        w.jslink((self.play, "value"), (self.step, "value"))
        w.link((self.strip, "step"), (self.step, "value"))
        self.bytes = BytesView()
        self.mode = w.ToggleButtons(options=[("Text", "text"), ("Hex", "hex")], style={"button_width": "70px"})
        self.back, self.on = (
            w.Button(description="‹", tooltip="Bytes before"),
            w.Button(description="›", tooltip="Bytes after"),
        )
        self.reset = w.Button(description="Undo all edits", layout=w.Layout(width="130px"))
        for button, by in ((self.back, -1), (self.on, 1)):
            button.layout.width = "36px"
            button.on_click(lambda _, by=by: self._turn(by))
        self.place = w.Label()
        self.key = w.HTML()
        self.output, self.events, self.messages, self.findings, self.why = (w.HTML() for _ in range(5))
        for panel, column in ((self.findings, 2), (self.events, 3), (self.messages, 4)):
            panel.add_class(f"bk-wide-{column}")
        self.step.observe(self._stepped, "value")
        self.mode.observe(lambda _: self._draw(anew=True), "value")
        self.reset.on_click(lambda _: self._take(self._source))
        self.bytes.observe(self._drafted, "draft")
        self.bytes.observe(lambda _: self._locate(), "caret")

    def _make_export(self) -> None:
        self.name = w.Text("from the workbench", description="Name")
        self.path = w.Text("case.json", description="File")
        self.save = w.Button(
            description="Save the case", tooltip="Saves the case as JSON on the notebook kernel's machine"
        )
        self.saved = w.Label()
        self.test = w.HTML()
        self.save.on_click(lambda _: self._guarded(self._save))
        self.name.observe(lambda _: self._guarded(self._write_test), "value")

    def _rows(self) -> list[object]:
        picker = [w.HBox([self.request, self.search], layout=w.Layout(flex_flow="row wrap"))] if self._run else []
        wrap = w.Layout(flex_flow="row wrap", align_items="center")
        scroll = w.Layout(max_height="420px", overflow="auto", padding="0 8px 0 0")
        tabs = {"Output": self.output, "Events": self.events, "Messages": self.messages, "Findings": self.findings}
        tabs |= {"Why": self.why}
        keep = w.VBox([w.HBox([self.path, self.save, self.saved], layout=wrap), self.name, self.test], layout=scroll)
        self.tabs = w.Tab([*(w.VBox([panel], layout=scroll) for panel in tabs.values()), keep])
        self.tabs.titles = (*tabs, "Keep it")
        steps = w.HBox([self.play, self.step, self.moment], layout=wrap)
        turns = w.HBox([self.mode, self.back, self.on, self.place, self.reset], layout=wrap)
        views = [self.verdict, self.strip, steps, turns, self.bytes, self.key, self.tabs]
        return [*picker, self.folds, self.message, *views]

    # -- what is on it -----------------------------------------------------------------------------------------------

    def show(self, given: object) -> None:
        """Shows another response: a ParserCase, an Exchange, or anything that `bk.parse` takes. TypeError for other values."""
        self._take(source(given))

    @property
    def parsed(self) -> ParsedResponse:
        """The result of parsing the reads up to the chosen step."""
        return self._parsed

    def _take(self, new: ResponseSource) -> None:
        self._source, self.case, self._page = new, new.case, 0
        self._say("")
        n = len(new.case.read_ends)
        self._quiet = True
        for part in (self.step, self.play):
            part.max = n
        self.step.value = self.play.value = n
        for field in _FIELDS:
            value = getattr(new.case, field)
            getattr(self, field).value = value if field in ("status", "stream") else "" if value is None else str(value)
        self.headers.value = headers_out(new.case)
        self._quiet = False
        self._draw(anew=True)

    def _picked(self, change: Bunch) -> None:
        if change["new"] is not None and self._run is not None:
            self._take(from_run(self._run, change["new"]))

    def _searched(self, change: Bunch) -> None:
        found = [] if self._kept is None else choices(self._kept, change["new"])
        self._say("" if found else f"no kept request matches {change['new']!r}")
        if found:
            self.request.options = found

    def _set(self, _: object) -> None:
        if not self._quiet:
            self._guarded(self._apply)

    def _apply(self) -> None:
        """Takes over the settings from their fields."""
        told: JsonObject = {name: getattr(self, name).value or None for name in ("response_path", "prompt")}
        for name in ("inputs", "max_tokens"):
            text = getattr(self, name).value.strip()
            if text and not text.isdecimal():
                raise BasetenkitError(f"{name}: {text!r} is not a count; give a whole number or nothing")
            told[name] = int(text) if text else None
        told |= {"status": self.status.value, "stream": self.stream.value, "headers": headers_in(self.headers.value)}
        self.case = replace(self.case, **told)
        self._draw(anew=True)

    def _drafted(self, change: Bunch) -> None:
        """Somebody edited the bytes: the page's bytes become the current text."""
        version, text = change["new"]
        if version != self.bytes.version:
            return
        self._guarded(lambda: self._edit(from_hex(text) if self.mode.value == "hex" else from_text(text)), in_view=True)

    def _edit(self, data: bytes) -> None:
        whole = decoded(self.case)
        start, end = self._range
        if data != whole.body[start:end]:
            if whole is not self.case:
                self._source = replace(self._source, exchange=None)  # an encoding's bounds are not the decoded bytes'
            self.case = spliced(whole, start, data, end)
            self._range = (start, start + len(data))
        self._draw(keep_page=True)

    def _stepped(self, _: object) -> None:
        if not self._quiet:
            self._draw()

    def _turn(self, by: int) -> None:
        self._page = max(self._page + by, 0)
        self._draw(anew=True)

    # -- drawing -----------------------------------------------------------------------------------------------------

    def _draw(self, anew: bool = False, keep_page: bool = False) -> None:
        """All views, from the case and the step. `anew`: the text field's content is replaced, even if it has the focus."""
        case, step = self.case, self.step.value
        now = until(case, step)
        self._parsed = parsed = now.parse()
        whole = decoded(case)
        if not keep_page:
            self._page = min(self._page, max(len(whole.body) - 1, 0) // PAGE)
            self._range = (self._page * PAGE, min((self._page + 1) * PAGE, len(whole.body)))
        arrived = len(whole.body) if step >= len(case.read_ends) else whole.read_ends[step - 1] if step else 0
        self._segments = segments(whole, self._range, arrived, self.mode.value == "hex")
        with self.bytes.hold_sync():
            self.bytes.mode, self.bytes.segments = self.mode.value, [[s.text, s.style] for s in self._segments]
            self.bytes.version += int(anew)
        self._draw_steps(parsed)
        self._locate()
        size = len(whole.body)
        self.place.value = f"bytes {self._range[0]:,} to {self._range[1]:,} of {size:,}"
        self.back.disabled, self.on.disabled = self._range[0] == 0, self._range[1] >= size
        self.reset.disabled = case == self._source.case
        self.verdict.value = panels.verdict(parsed, step < len(case.read_ends))
        self.output.value, self.messages.value = panels.output(parsed), panels.messages(now)
        self.events.value = panels.events(parsed, self._source.event_bounds(parsed))
        self.findings.value, self.why.value = panels.findings(parsed), panels.explanation(parsed)
        self.tabs.set_title(3, f"Findings ({len(parsed.warnings)})" if parsed.warnings else "Findings")
        self._guarded(self._write_test)

    def _draw_steps(self, parsed: ParsedResponse) -> None:
        case, step = self.case, self.step.value
        all_of_it = case.parse()
        kinds = dict(zip(reversed(all_of_it.event_reads), reversed(all_of_it.event_kinds), strict=True))
        bounds = self._source.read_bounds()
        self.moment.value = (
            panels.describe(case, step - 1, bounds[step - 1]) if step else "nothing has come yet" if bounds else ""
        )
        self.strip.said = self.moment.value
        self.strip.reads, self.strip.unit = panels.reads(self._source, case, kinds)
        self.key.value = panels.key(all_of_it.event_kinds)

    def _locate(self) -> None:
        """Says which byte the caret is at, and what that byte is part of."""
        at, left = self._range[0], (self.bytes.caret or [0])[0]
        for segment in self._segments:
            at = segment.start
            part = segment.text[: max(left, 0)]
            at += sum(map(str.isalnum, part)) // 2 if self.mode.value == "hex" else len(from_text(part))
            left -= len(segment.text)
            if left < 0:
                break
        reads = [i for i, end in enumerate(decoded(self.case).read_ends) if end > at]
        came = panels.describe(self.case, reads[0], self._source.read_bounds()[reads[0]]) if reads else ""
        events = zip(self._parsed.event_starts, self._parsed.event_ends, self._parsed.event_texts, strict=True)
        became = next((f"became {text[:60]!r}" for start, end, text in events if start <= at < end), "")
        self.bytes.invalid = False
        self.bytes.where = ", ".join(filter(None, (f"byte {at:,}", came, became)))

    def _write_test(self) -> None:
        self.test.value = panels.pre(self.case.to_test(self.name.value))

    def _save(self) -> None:
        self.case.save(self.path.value)
        self.saved.value = f"saved, {len(self.case.body):,} bytes of body"

    def _guarded(self, work: Callable[[], None], in_view: bool = False) -> None:
        """Does it; a mistake of the user is reported at its place, and nothing changes."""
        try:
            work()
        except (BasetenkitError, TypeError) as error:
            if in_view:
                self.bytes.invalid, self.bytes.where = True, str(error)
            else:
                self._say(str(error))

    def _say(self, sentence: str) -> None:
        self.message.value = panels.pre(sentence) if sentence else ""

    def __repr__(self) -> str:
        return f"<ResponseWorkbench: {self._source.name}, {self._parsed.outcome.value}, {len(self._parsed.event_texts)} events>"
