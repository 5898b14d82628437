"""The same tokens counted in four ways (accounts): why the counts differ, and how much remains unexplained.

The same tokens are counted four times: asked for by the scenario, reported by the server (that is what is paid for), counted by
the tokenizer in the text, and as chunks. Each step from one account to the next is taken apart here into causes that add up to
it. A cause is taken for known only if something other than the gap itself bears it out: a finish reason, the server's own
count of reasoning, or, of a chat template, that it adds the same to every request, or the same for each message. All else is
the rest. It is summed without signs, so that a request of too many tokens does not make up for one of too few.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from ..config.loads import LevelKey
from ..core.frames import ColumnTypes
from ..core.tables import Html, html_table
from ..results.row_notes import figure, noted
from ..results.run_data import RunData
from ..results.schema import LEVEL
from ..results.token_notes import AT_LIMIT, FILTERED, SPECIALS
from .chat_template import messages, template_tokens
from .given import of_run

ACCOUNTS = ("asked", "reported", "counted", "used", "chunks")
# code -> (what it is, whether it explains its tokens)
CAUSES: dict[str, tuple[str, bool]] = {
    "cut": ("the prompt could not be cut to the length asked for", True),
    "template": ("the chat template: the same number of tokens in every request, or for each message", True),
    "images": ("images, which only the server counts: this cannot be checked", True),
    "input_rest": (
        "varies between requests, unlike a template: the tokenizer is not the model's, or there is hidden text",
        False,
    ),
    "stopped": ("the model ended by itself before the length asked for", True),
    "filtered": ("a content filter ended the response", True),
    "length_rest": ("fewer or more tokens than asked for, without a reason given", False),
    "reasoning": ("reasoning that is counted but was not sent as text", True),
    "special": ("an end mark, or special tokens that the response reports: counted but not in the text", True),
    "output_rest": (
        "the text has a different number of tokens: the tokenizer is not the model's, or tokens were lost",
        False,
    ),
    "unreported": ("the server reported nothing to compare with: the tokenizer's count is used", False),
}
_STEPS = (
    "input: asked → counted",
    "input: counted → reported",
    "output: asked → reported",
    "output: reported → counted",
)
_SCHEMA: ColumnTypes = {
    "scenario": pl.String(), "load": pl.String(), "level": pl.Float64(), "step": pl.String(), "cause": pl.String(),
    "explained": pl.Boolean(), "requests": pl.Int64(), "tokens": pl.Int64(), "apart": pl.Int64(),
}  # fmt: skip


def token_table(rows: pl.DataFrame) -> pl.DataFrame:
    """Tokens by the four accounts, one row per (scenario, load, level) and direction, over the successful measured `requests`:
    asked for, reported by the server, counted by the tokenizer, used, and output chunks.

    Each is a sum over those requests that have that count, and `<account>_n` says how many they are; null if none has.
    `difference`: reported - counted over the `both_n` requests that have both, and null if none has.
    """
    ok = rows.filter((pl.col("outcome") == "ok") & (pl.col("phase") == "measured"))
    parts = []
    for what in ("input", "output"):
        columns = dict.fromkeys(ACCOUNTS, pl.lit(None, pl.Int64)) | {
            "asked": pl.col(f"{what}_tokens_target"),
            "reported": pl.col(f"{what}_tokens_server"),
            "counted": pl.col(f"{what}_tokens_client"),
            "used": pl.col(f"{what}_tokens"),
        }
        if what == "output":
            columns["chunks"] = pl.col("output_chunks")
        apart = pl.col("reported") - pl.col("counted")
        parts.append(
            ok.select(*LEVEL, **columns)
            .group_by(LEVEL, maintain_order=True)
            .agg(
                pl.lit(what).alias("tokens"),
                pl.len().cast(pl.Int64).alias("requests"),
                *(total(pl.col(name)) for name in ACCOUNTS),
                *(pl.col(name).count().cast(pl.Int64).alias(f"{name}_n") for name in ACCOUNTS),
                total(apart).alias("difference"),
                apart.count().cast(pl.Int64).alias("both_n"),
            )
        )
    return pl.concat(parts).sort(LEVEL, maintain_order=True)


def token_causes(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per (scenario, load, level), step and cause that occurs, over the successful measured requests.

    `step`: from which account to which; `cause`: a key of CAUSES; `explained`; `requests` that have it; `tokens`: what it adds on
    the way, signed, so that a step's causes sum to its gap over those requests that have both counts; `apart`: the same summed
    without signs. Of "unreported" both are null.
    """
    parts = [
        frame.filter(pl.col("tokens").is_null() | (pl.col("tokens") != 0))
        .group_by(LEVEL, maintain_order=True)
        .agg(
            pl.lit(step).alias("step"),
            pl.lit(cause).alias("cause"),
            pl.lit(CAUSES[cause][1]).alias("explained"),
            pl.len().cast(pl.Int64).alias("requests"),
            total(pl.col("tokens")).alias("tokens"),
            total(pl.col("tokens").abs()).alias("apart"),
        )
        for step, cause, frame in _taken_apart(_ok(rows))
    ]
    return pl.concat([pl.DataFrame(schema=_SCHEMA), *parts], how="vertical_relaxed").sort(LEVEL, maintain_order=True)


_IMAGES = pl.col("image_count").fill_null(0) > 0


def _ok(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter((pl.col("outcome") == "ok") & (pl.col("phase") == "measured"))


def _taken_apart(ok: pl.DataFrame) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """(step, cause, one row per request with its LEVEL and the tokens of that cause; 0 if it has none)."""
    for step, before, after, causes in (
        (_STEPS[0], "input_tokens_target", "input_tokens_client", _cut()),
        (_STEPS[1], "input_tokens_client", "input_tokens_server", _input()),
        (_STEPS[2], "output_tokens_target", "output_tokens_server", _length()),
        (_STEPS[3], "output_tokens_server", "output_tokens_client", _output()),
    ):
        both = ok.drop_nulls([before, after]).with_columns(gap=pl.col(after) - pl.col(before))
        both = _with_template(both) if step == _STEPS[1] else both
        for cause, tokens in causes.items():
            yield step, cause, both.select(*LEVEL, tokens=tokens)
    for step, reported in ((_STEPS[1], "input_tokens_server"), (_STEPS[3], "output_tokens_server")):
        missing = ok.filter(pl.col(reported).is_null() & _due(reported))
        yield step, "unreported", missing.select(*LEVEL, tokens=pl.lit(None, pl.Int64))


def _due(reported: str) -> pl.Expr:
    """Whether a response should have that count: an embedding has no output tokens."""
    return pl.lit(reported == "input_tokens_server") | pl.col("wire_format").ne_missing("embedding")


def _where(condition: pl.Expr) -> pl.Expr:
    """The gap where a condition surely holds, else 0."""
    return pl.when(condition.fill_null(False)).then(pl.col("gap")).otherwise(0)


def _cut() -> dict[str, pl.Expr]:
    return {"cut": pl.col("gap")}


def _with_template(both: pl.DataFrame) -> pl.DataFrame:
    """The same with `template`: the tokens that the chat template adds to each request; 0 with images, which hide it."""
    parts = []
    for _, level in both.group_by(LEVEL, maintain_order=True):
        pictured, plain = level.filter(_IMAGES), level.filter(~_IMAGES)
        counts = plain.select(messages().alias("n"))["n"].cast(pl.Int64).to_numpy()
        tokens = template_tokens(plain["gap"].to_numpy(), counts)
        parts += [plain.with_columns(template=pl.Series(tokens)), pictured.with_columns(template=pl.lit(0, pl.Int64))]
    return pl.concat(parts) if parts else both.with_columns(template=pl.lit(0, pl.Int64))


def _input() -> dict[str, pl.Expr]:
    template = pl.col("template")
    return {"images": _where(_IMAGES), "template": template, "input_rest": _where(~_IMAGES) - template}


def _length() -> dict[str, pl.Expr]:
    short = pl.col("gap") < 0
    filtered = short & pl.col("finish_reason").str.to_lowercase().is_in(FILTERED)
    stopped = short & _ended_by_itself()
    known = (filtered | stopped).fill_null(False)
    return {"stopped": _where(stopped), "filtered": _where(filtered), "length_rest": _where(~known)}


def _output() -> dict[str, pl.Expr]:
    reasoning = pl.when(noted("tokens_hidden_reasoning")).then(-pl.col("reasoning_tokens").fill_null(0)).otherwise(0)
    left = pl.col("gap") - reasoning
    special = pl.when(left.is_between(-_specials(), -1)).then(left).otherwise(0)
    return {"reasoning": reasoning, "special": special, "output_rest": left - special}


def _ended_by_itself() -> pl.Expr:
    reason = pl.col("finish_reason").str.to_lowercase()
    return reason.is_not_null() & ~reason.is_in([*AT_LIMIT, *FILTERED])


def _specials() -> pl.Expr:
    """Tokens without text that something bears out: those that the response itself marks as special, or else the end mark of
    a model that ended by itself."""
    return pl.coalesce(figure(SPECIALS, "n"), _ended_by_itself().cast(pl.Int64))


def unexplained(rows: pl.DataFrame) -> float | None:
    """The share of the reported tokens, input and output, for which no cause is known; None if there are no successful
    requests, or if some of them have no reported count: it is then unknown."""
    ok = _ok(rows)
    reported = ok["input_tokens_server", "output_tokens_server"]
    if not ok.height or any(ok.filter(pl.col(column.name).is_null() & _due(column.name)).height for column in reported):
        return None
    rest = token_causes(rows).filter(~pl.col("explained"))["apart"].sum()
    tokens = sum(int(column.sum()) for column in reported)
    return float(rest) / tokens if tokens else None


def total(tokens: pl.Expr) -> pl.Expr:
    """The sum of the known values; null if there are none."""
    return pl.when(tokens.count() > 0).then(tokens.sum()).cast(pl.Int64)


@of_run
def causes_table(run: RunData) -> Html:
    """The causes for a person to read, those without an explanation marked."""
    rows = []
    for row in token_causes(run.requests).iter_rows(named=True):
        each = None if row["tokens"] is None else row["tokens"] / row["requests"]
        shown = {
            "scenario": row["scenario"],
            "load": str(LevelKey.of(row).load),
            "step": row["step"],
            "cause": CAUSES[row["cause"]][0],
        }
        shown |= {"requests": row["requests"], "tokens": row["tokens"], "a request": each}
        rows.append(shown | {"explained": "yes" if row["explained"] else "NO"})
    return html_table(rows, "From one account to the next")


@of_run
def paid_table(run: RunData) -> Html:
    """Tokens of the requests that did not succeed, one row per level, outcome and phase: the input tokens of those that were
    sent, what came before the end by the server's count or the tokenizer's, and what share of all output tokens that is.
    Requests of other phases than "measured" were paid for, too: each such row names its phase. Null if nothing was counted."""
    rows = run.requests
    all_output = rows["output_tokens"].sum()
    sent = pl.col("sent_s").is_not_null()
    failed = (
        rows.filter(pl.col("outcome") != "ok")
        .group_by(*LEVEL, "outcome", "phase")
        .agg(
            pl.len().alias("requests"),
            sent.sum().alias("sent"),
            total(pl.col("input_tokens_client").filter(sent)),
            total(pl.col("output_tokens")),
        )
    )
    shown = []
    for row in failed.sort(*LEVEL, "outcome", "phase").iter_rows(named=True):
        share = None if row["output_tokens"] is None or not all_output else f"{row['output_tokens'] / all_output:.2%}"
        measured = row["phase"] == "measured"
        about = {
            "scenario": row["scenario"],
            "load": str(LevelKey.of(row).load),
            "outcome": row["outcome"] if measured else f"{row['outcome']} ({row['phase']})",
            "requests": row["requests"],
            "sent": row["sent"],
        }
        about |= {"input tokens sent": row["input_tokens_client"], "output tokens that came": row["output_tokens"]}
        shown.append(about | {"of all output": share})
    return html_table(shown, "Requests that did not succeed")
