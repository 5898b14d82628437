"""A part of the form that opens and closes. Its heading is a button, because the keyboard does not reach those of an accordion."""

from __future__ import annotations

import ipywidgets as w
from traitlets.utils.bunch import Bunch


class Fold(w.VBox):  # type: ignore[misc]
    """A heading and a body that is shown after the heading was pressed, by the mouse or by Space or Enter."""

    def __init__(self, title: str, body: w.DOMWidget) -> None:
        self.title, self.body = title, body
        self.heading = w.ToggleButton(tooltip=f"Show or hide: {title}", layout=w.Layout(width="100%"))
        self.heading.add_class("bk-fold")
        self.heading.observe(self._turned, "value")
        self._turned(Bunch(new=False))
        super().__init__([self.heading, body], layout=w.Layout(width="100%"))

    def _turned(self, change: Bunch) -> None:
        self.body.layout.display = None if change["new"] else "none"
        self.heading.description = f"{'▾' if change['new'] else '▸'} {self.title}"
