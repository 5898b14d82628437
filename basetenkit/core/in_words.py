"""An answer in words: a few sentences, shown as a paragraph in a cell and as text everywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .markup import render

if TYPE_CHECKING:
    from markupsafe import Markup

_SHOWN = """
<p class="bk-verdict" style="font-size: 1.15em; line-height: 1.45; max-width: 60em"><b>{{ first }}</b>{{ rest }}</p>"""


class InWords:
    """What has `sentences`, the first of which is the answer: `str()` joins them, and a cell shows them as a paragraph."""

    __slots__ = ()
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.sentences)

    def __repr__(self) -> str:
        return str(self)

    @property
    def markup(self) -> Markup:
        """The text as a paragraph of HTML."""
        first, *rest = self.sentences
        return render(_SHOWN, first=first, rest="".join(f" {sentence}" for sentence in rest))

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": str(self.markup), "text/plain": str(self)}
