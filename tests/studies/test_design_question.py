from __future__ import annotations

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from basetenkit.studies.design_question import Question, both_in, budget_in, question_in


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("p99 within 10%", Question("precision", "ttft_s_p99", 0.1)),
        ("ttft p95 within 5 %", Question("precision", "ttft_s_p95", 0.05)),
        ("e2e median within 2.5%", Question("precision", "e2e_s_p50", 0.025)),
        ("output_tokens_per_s within 3%", Question("precision", "output_tokens_per_s", 0.03)),
        ("compare A with B", Question("compare", "e2e_s", 0.05)),
        ("is B faster? ttft, 3%", Question("compare", "ttft_s", 0.03)),
        ("find capacity", Question("capacity", "", 0.1)),
        ("Capacity within 20%", Question("capacity", "", 0.2)),
    ],
)
def test_questions_as_people_write_them(text: str, question: Question) -> None:
    assert question_in(text) == question


@pytest.mark.parametrize("text", ["", "how fast is it?", "p99", "p99 within 200%", 7])
def test_other_texts_are_refused_with_examples(text: object) -> None:
    with pytest.raises(ConfigError, match=r"e\.g\."):
        question_in(text)


def test_budgets_as_people_write_them() -> None:
    assert budget_in("20 minutes, 1M tokens, 5 dollars") == bk.Budget(minutes=20, tokens=1e6, usd=5)
    assert budget_in("1.5 h and $2.50") == bk.Budget(minutes=90, usd=2.5)
    assert budget_in("90 s, 2,000 requests, 500k tokens") == bk.Budget(minutes=1.5, requests=2000, tokens=5e5)
    assert budget_in({"minutes": 3}) == bk.Budget(minutes=3)
    assert both_in("20 minutes: find capacity", None) == (Question("capacity", "", 0.1), bk.Budget(minutes=20))


@pytest.mark.parametrize("given", ["", "soon", "5 apples", "20", None, 5])
def test_other_budgets_are_refused(given: object) -> None:
    with pytest.raises(ConfigError, match="design"):
        budget_in(given)
