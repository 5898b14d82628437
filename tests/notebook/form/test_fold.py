from __future__ import annotations

import ipywidgets as w

from basetenkit.notebook.form.fold import Fold


def test_a_heading_shows_and_hides_what_is_below_it() -> None:
    body = w.HTML("more")
    fold = Fold("Extras", body)
    assert (body.layout.display, fold.heading.description) == ("none", "▸ Extras")
    fold.heading.value = True
    assert (body.layout.display, fold.heading.description) == (None, "▾ Extras")
    fold.heading.value = False
    assert body.layout.display == "none"
