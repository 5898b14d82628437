from __future__ import annotations

from basetenkit.core.in_words import InWords


class Told(InWords):
    def __init__(self, *sentences: str) -> None:
        self.sentences = sentences


def test_an_answer_is_text_and_a_paragraph_in_which_nothing_is_markup() -> None:
    told = Told("B is <b>slower</b>.", "By 3%.")
    assert str(told) == repr(told) == "B is <b>slower</b>. By 3%."
    shown = told._repr_mimebundle_()
    assert shown["text/plain"] == str(told)
    assert "<b>B is &lt;b&gt;slower&lt;/b&gt;.</b> By 3%.</p>" in shown["text/html"]
