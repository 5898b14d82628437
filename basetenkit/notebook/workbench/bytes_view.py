"""Two views that ipywidgets have no part for: bytes in colour that can be edited, and the arrivals of one response.

Their JavaScript and CSS are files in this folder and are sent with the widget, so nothing is fetched from a network. They draw
only what is computed here, and set all text as text. The colours are JupyterLab's own variables: light and dark alike.
"""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

_HERE = Path(__file__).parent
CSS = (_HERE / "bytes_view.css").read_text()


class BytesView(anywidget.AnyWidget):
    """Segments of text, drawn in their styles, under a text field.

    `segments`: [text, style] each; `mode`: "text" or "hex"; `draft`: [version, text] as somebody typed it, where `version`
    is that of the segments it began from; `caret`: [position in the text]; `where`: the line under the field, an error where
    `invalid` is set.
    """

    _esm = (_HERE / "bytes_view.js").read_text()
    _css = CSS
    segments: traitlets.List[list[str]] = traitlets.List().tag(sync=True)
    mode = traitlets.Enum(["text", "hex"], "text").tag(sync=True)
    version = traitlets.Int(0).tag(sync=True)
    draft: traitlets.List[int | str] = traitlets.List().tag(sync=True)
    caret: traitlets.List[int] = traitlets.List().tag(sync=True)
    where = traitlets.Unicode().tag(sync=True)
    invalid = traitlets.Bool(False).tag(sync=True)


class ArrivalStrip(anywidget.AnyWidget):
    """Reads along a line, of which the first `step` have come. The arrow keys, Home, End and a click change `step`.

    `reads`: a dict each, with `at` and `error` (in `unit`; it came within [at - error, at]), `kind` of the first event that
    it completed or "silent", and `said`, its tooltip. `said` is the step in words, for screen readers.
    """

    _esm = (_HERE / "bytes_strip.js").read_text()
    _css = CSS
    reads: traitlets.List[dict[str, object]] = traitlets.List().tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    unit = traitlets.Unicode("ms").tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)
