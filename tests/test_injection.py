"""Hostile payloads, as a server, a model, a file's name or a colleague's configuration could hold them, in every place where
text is shown: markup stays text, a formula stays a string, code that is written out holds them as data."""

from __future__ import annotations

import builtins
import csv
import html
import io
import json
import re
import socket
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.errors import StoreError
from basetenkit.core.progress import plain
from basetenkit.notebook.form.form import RunForm
from basetenkit.notebook.form.preview import first_body
from basetenkit.notebook.live.panels import counts
from basetenkit.reporting import charts
from basetenkit.reporting.altair_renderer import render
from basetenkit.reporting.response_charts import events_strip
from basetenkit.reporting.tables import findings_table, overview, samples, tokens

from .peer import peer

EVIL = (
    '=HYPERLINK("http://h/","x")\'"><img src=x onerror="window.pwned=1"></script><script>window.pwned=1</script>'
    "<svg onload=window.pwned=1><iframe srcdoc='<script>parent.pwned=1</script>'></iframe>"
    "\"\"\"\n__import__('builtins').pwned = 1\n'''\\"
)
NAME = "=1+1'\"><img src=x onerror=window.pwned=1>"  # what a file's name can hold
MAY = {"p", "table", "caption", "thead", "tbody", "tr", "th", "td", "section", "div", "b", "span", "pre", "details"}
MAY |= {"summary", "br", "code", "dl", "dt", "dd", "svg", "g", "rect", "title", "style", "small", "figure", "h3"}
PAGE = {"html", "head", "meta", "body", "h1", "h2", "img", "figcaption"}


def say_evil(sock: socket.socket, request: bytes) -> bool:
    """The payload as an answer in a stream, or as an error's message and code."""
    delta = {"model": EVIL, "choices": [{"delta": {"content": EVIL, "reasoning_content": EVIL}, "finish_reason": EVIL}]}
    body, kind, status = f"data: {json.dumps(delta)}\n\ndata: [DONE]\n\n".encode(), b"text/event-stream", b"200 OK"
    if request.count(b"e") % 2:
        body = json.dumps({"error": {"message": EVIL, "code": EVIL}}).encode()
        kind, status = b"application/json", b"500 No"
    head = b"HTTP/1.1 %s\r\ncontent-type: %s\r\nx-request-id: %s\r\n" % (status, kind, NAME.encode())
    sock.sendall(head + b"content-length: %d\r\n\r\n%s" % (len(body), body))
    return True


def config(url: str, **kw: Any) -> bk.RunConfig:
    endpoint = bk.Endpoint(url=url, model=EVIL, headers={"x-team": "a<b>"})
    load: dict[str, Any] = {"scenarios": "D(20,5)", "concurrency": 2, "max_requests": 16, "capture": "all"}
    return bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, request_params={"user": EVIL}, **(load | kw))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> bk.Run:
    """A run of answers and errors that are all hostile, saved in a folder of a hostile name."""
    with peer(say_evil) as server:
        run = bk.run_sync(config(server.url), save_to=tmp_path_factory.mktemp("x") / NAME)
    assert set(run.requests["outcome"]) == {"ok", "http_error"}
    assert EVIL in run.requests["text"].to_list()
    return run


class Tags(HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: dict[str, str | None] = {}
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= attrs


def harmless(markup: str, may: set[str] = MAY) -> None:
    seen = Tags(markup)
    assert seen.names <= may
    assert not [name for name in seen.attributes if name.startswith("on") or name in ("href", "srcdoc", "action")]
    assert (seen.attributes.get("src") or "data:").startswith("data:")


def page_of(thing: Any) -> str:
    """The HTML that a cell shows of it."""
    bundle = thing._repr_mimebundle_() if hasattr(thing, "_repr_mimebundle_") else {"text/html": thing._repr_html_()}
    return str(bundle["text/html"])


def test_this_test_sees_what_it_looks_for() -> None:
    for markup in (EVIL, NAME, '<p onclick="x">', '<table><a href="javascript:x">'):
        with pytest.raises(AssertionError):
            harmless(markup)


def test_what_a_cell_shows_is_text(run: bk.Run) -> None:
    one = bk.ParserCase.from_exchange(run.exchange(run.requests["request_id"][0]))
    shown = [run, overview(run), findings_table(run), samples(run), tokens(run), run.requests, run.fates, one]
    shown += [run.config, run.config.endpoint, one.parse(), bk.compare(run, run)]
    pages = [page_of(thing) for thing in shown]
    assert html.escape("<img src=x") in "".join(pages)
    for markup in pages:
        harmless(markup)


def test_a_preflight_of_a_hostile_server_is_text() -> None:
    with peer(say_evil) as server:
        found = bk.preflight(config(server.url).endpoint)
    page = page_of(found)
    harmless(page)
    assert html.escape("<img src=x") in page


def test_the_form_and_the_live_view_show_text() -> None:
    made = config("http://127.0.0.1:9/")
    progress = {"in_flight": 1, "sent": 2, "outcomes": {"http_error": 1, EVIL: 1}, "last_error": EVIL}
    harmless(counts(progress, False, 3.0))
    form = RunForm(made)
    widgets, seen = [form], []
    while widgets:
        widget = widgets.pop()
        widgets += getattr(widget, "children", ())
        seen += [widget.value] if type(widget).__name__ == "HTML" else []
    assert seen
    for markup in seen:
        harmless(markup)
    assert EVIL in json.loads(first_body(made))["user"]


def test_the_report_is_text_and_forbids_scripts(run: bk.Run, tmp_path: Path) -> None:
    page = bk.report(run, tmp_path / f"{NAME}.html").read_text()
    harmless(page, MAY | PAGE)
    assert "window.pwned" in page, "it is there to be read"
    assert "default-src 'none'" in page


def test_the_csv_has_no_cell_that_a_spreadsheet_takes_for_a_formula(run: bk.Run, tmp_path: Path) -> None:
    with bk.report(run, tmp_path / "report.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == run.requests.drop("notes").columns
    assert len(rows) == run.requests.height
    numbers = {name for name, kind in run.requests.schema.items() if kind.is_numeric()}
    begins = {row[i][:1] for row in rows for i, name in enumerate(header) if name not in numbers}
    assert not begins & set("=+-@\t\r\n")
    texts = [row[header.index("text")] for row in rows]
    assert f"'{EVIL}" in texts
    assert [text.removeprefix("'") for text in texts] == [text or "" for text in run.requests["text"]]


def test_the_workbook_has_strings_and_no_formula(run: bk.Run, tmp_path: Path) -> None:
    data = bk.report(run, tmp_path / "report.xlsx").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        sheets = {n: book.read(n).decode() for n in book.namelist() if n.endswith((".xml", ".rels"))}
    assert any("HYPERLINK" in text for text in sheets.values())
    for text in sheets.values():
        assert "<f>" not in text
        assert "/hyperlink" not in text
        assert "<hyperlink" not in text


def test_charts_hold_data_and_no_markup_or_address(run: bk.Run) -> None:
    case = bk.ParserCase.from_exchange(run.exchange(run.requests.filter(outcome="ok")["request_id"][0]))
    drawn = [events_strip(case.parse()), charts.outcome_bars(run), charts.waterfall(run), charts.latency_ecdf(run)]
    for chart in drawn:
        bundle, _ = render(chart.to_dict())
        assert set(bundle) == {"application/vnd.vega.v5+json", "image/png", "text/plain"}
        spec = json.dumps(bundle["application/vnd.vega.v5+json"])
        assert not re.search(r'"(href|url|loader)":', spec), "nothing in it is a link or fetched"
        assert "window.pwned" not in bundle["text/plain"]


def test_code_that_is_written_out_holds_it_as_data(run: bk.Run) -> None:
    ok = run.requests.filter(outcome="ok")["request_id"][0]
    scope: dict[str, Any] = {}
    exec(bk.ParserCase.from_exchange(run.exchange(ok)).to_test(EVIL), scope)
    next(value for name, value in scope.items() if name.startswith("test_"))()
    made = config("http://127.0.0.1:9/", dataset=None)
    exec(made.to_python(), scope)
    again = next(value for value in scope.values() if isinstance(value, bk.RunConfig))
    assert again.endpoint.model == EVIL
    assert not hasattr(builtins, "pwned")


def test_a_terminal_is_not_moved() -> None:
    assert plain("a\x1b[2Jb\rc\x9b31m\u202e") == "a\\x1b[2Jb\\rc\\x9b31m\\u202e"


WATCHED = """
import sys
import basetenkit as bk
folder = sys.argv[1]
run = bk.load(folder)
run.requests, run.summary, run.findings, run.metadata, run.exchange(run.captured[0]), run.reparse()  # all is imported now
seen = []
sys.addaudithook(lambda event, args: seen.append((event, str(args[:1]))) if event in WATCHED else None)
WATCHED = ("open", "exec", "compile", "import", "pickle.find_class", "os.system", "subprocess.Popen", "marshal.loads")
run = bk.load(folder)
run.requests, run.summary, run.findings, run.metadata, run.exchange(run.captured[0]), run.reparse()
bk.RunConfig.model_validate_json(run.config.model_dump_json())
opened = [what for event, what in seen if event == "open"]
assert opened, "the hook hears"
assert all(folder in what for what in opened), opened
assert not [event for event, _ in seen if event != "open"], seen
"""


def test_loading_a_run_runs_nothing_and_opens_nothing_outside_its_folder(run: bk.Run, tmp_path: Path) -> None:
    """Beside its files lie some that run when they are unpickled or imported. One whose levels point outside is refused."""
    folder = tmp_path / "given"
    run.save(folder)
    written = (folder / "run.json").read_text()
    document = json.loads(written)
    for level in document["levels"]:
        level["index"] = "../../outside"
    (folder / "run.json").write_text(json.dumps(document))
    with pytest.raises(StoreError, match=r"levels\.0\.index: Input should be a valid integer"):
        bk.load(folder)
    (folder / "run.json").write_text(written)
    (folder / "levels" / "000" / "requests.pkl").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    (folder / "sitecustomize.py").write_text("import builtins; builtins.pwned = 1")
    command = [sys.executable, "-c", WATCHED, str(folder)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"given"}
