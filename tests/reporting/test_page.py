from __future__ import annotations

from markupsafe import Markup

from basetenkit.core.tables import html_table
from basetenkit.reporting import charts
from basetenkit.reporting.page import Section, document, pictured

from ..analysis.frames import rows


def test_a_page_escapes_its_words_and_folds_an_appendix_only_if_there_is_one() -> None:
    table = Section("A <table>", "words & more", html_table([{"x": "<script>"}]))
    whole = document("<title>", "", Markup("<p>verdict</p>"), [table], [Section("Folded")]).decode()
    assert "<script>" not in whole
    assert "&lt;title&gt;" in whole
    assert "<details>" in whole
    assert whole.index("<p>verdict</p>") < whole.index("A &lt;table&gt;") < whole.index("Folded")
    assert "<details>" not in document("t", "h", Markup(""), [table]).decode()


def test_a_picture_that_is_too_large_is_left_out_and_said_so() -> None:
    spec = charts.outcome_bars(rows(20)).to_dict()
    kept, dropped = pictured(spec), pictured(spec, 10)
    assert kept.source.startswith("data:image/png;base64,")
    assert kept.size > 10
    assert (dropped.source, dropped.size) == ("", 0)
    page = document("t", "h", Markup(""), [Section("Charts", pictures=[dropped])]).decode()
    assert "left out: the file would be too large" in page
