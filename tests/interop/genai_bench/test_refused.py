from __future__ import annotations

import pytest

from basetenkit.interop.genai_bench.refused import refusal

KNOWN = ("--num-concurrency", "--traffic-scenario")


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--num-concurency", "--num-concurency (did you mean --num-concurrency?)"),
        ("--concurrency", "--concurrency (use --num-concurrency, once per level)"),
        ("--aws-region", "--aws-region (use an OpenAI-compatible URL in --api-base)"),
        ("--dance", "--dance (unknown; basetenkit benchmark --help lists the flags)"),
    ],
)
def test_a_refusal_names_what_to_use_instead(flag: str, said: str) -> None:
    assert refusal(flag, KNOWN) == said
