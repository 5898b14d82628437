"""What a comparison in turns says, from blocks whose figures are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

import basetenkit as bk
from basetenkit.analysis.compared import ComparisonStatus
from basetenkit.stats.paired import judge_means
from basetenkit.studies.comparing_result import EndpointComparison, below_the_rule, framed, verdict_of, words_of

CONFIG = bk.RunConfig(endpoint=bk.Endpoint(url="http://127.0.0.1:9/x", model="m"), scenarios="D(10,10)", concurrency=4)


def blocks(ratio: float, pairs: int, noise: float = 0.01, failed: int = 0, control: float = 1.0) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    sides = {"A": 1.0, "B": ratio, "A'": control}
    made = []
    for pair in range(pairs):
        for side, factor in sides.items():
            x = 0.2 * factor * float(np.exp(rng.normal(0, noise)))
            ok = 20 - (failed if side == "B" else 0)
            made.append({"pair": pair, "block": side, "seconds": 40.0, "sent": 20, "ok": ok, "e2e_s_mean": x})
    return pl.DataFrame(made)


def result(ratio: float, pairs: int = 12, below: Sequence[str] = (), **options: float) -> EndpointComparison:
    made = blocks(ratio, pairs, **options)  # type: ignore[arg-type]
    values = {side: made.filter(block=side)["e2e_s_mean"].to_list() for side in ("A", "B", "A'")}
    main, control = (
        judge_means("e2e_s", [([x], [y]) for x, y in zip(values["A"], values[side], strict=True)], 0.05)
        for side in ("B", "A'")
    )
    verdict = verdict_of(main, 0.05, CONFIG, made, [control], below)
    return EndpointComparison("e2e_s", verdict, framed([main]), made, framed([control]), list(words_of(made, 0.05)), [])


def test_a_difference_with_its_interval_and_both_values() -> None:
    found = result(0.92)
    assert found.verdict.status is ComparisonStatus.DIFFERS
    text = str(found.verdict)
    row = found.frame.row(0, named=True)
    assert text.startswith("They differ: B's E2E is ")
    assert "% lower (95% interval " in text
    assert "against" in text
    assert "ms, over 12 pairs of blocks)." in text
    assert f"{row['ratio']:.3f} ({row['low']:.3f} to {row['high']:.3f})" in repr(found)
    assert len(found.verdict.sentences) == 1


def test_equality_names_the_interval_that_decides_it() -> None:
    found = result(1.0)
    assert found.verdict.status is ComparisonStatus.EQUAL
    assert "Equal within the margin of 5%: B's E2E is " in str(found.verdict)
    assert "the 90% interval, which decides this, is " in str(found.verdict)
    row = found.frame.row(0, named=True)
    assert row["low"] < row["low_90"] < row["ratio"] < row["high_90"] < row["high"]


def test_too_few_pairs_say_how_many_more() -> None:
    found = result(1.03, pairs=4, noise=0.05)
    assert found.verdict.status is ComparisonStatus.UNDECIDED
    assert str(found.verdict).startswith("Not enough data: B's E2E is ")
    assert f"About {found.frame['more_pairs'][0]} more pairs would decide it." in str(found.verdict)


def test_a_control_that_differs_failures_and_a_small_design_are_in_the_verdict() -> None:
    text = str(result(0.8, control=1.2).verdict)
    assert "A against A differs as well, so do not trust this result." in text
    found = result(0.8, failed=5, below=["6 pairs, at least 10 are needed"])
    assert found.verdict.sentences[1] == "Failed: 60 of B's 240 requests."
    assert found.verdict.sentences[2].startswith("The design is below the rule (6 pairs, at least 10 are needed)")
    assert len(result(0.8, failed=5, control=1.2, below=["x"]).verdict.sentences) == 3


def test_in_what_a_design_is_below_the_rule() -> None:
    short = blocks(1.0, 2).with_columns(seconds=pl.lit(1.5))
    assert below_the_rule(short, CONFIG, 2, 10) == [
        "2 pairs, at least 10 are needed",
        "blocks of 1.5 s, at least 30 s",
        "10 requests per block, at least 12",
    ]
    assert below_the_rule(blocks(1.0, 12), CONFIG, 12, 100) == []
