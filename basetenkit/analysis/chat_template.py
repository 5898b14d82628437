"""The number of tokens that a server's chat template adds to each request: a constant, and a number per message.

A template adds the same number to every request of a level, or, in conversations, a further number for each message of the
history. The only evidence is the differences between the counted and the reported tokens: a line through them counts as the
template only if it fits. A tokenizer with an error of one or two tokens does not hide a template of 20; its error stays in the
rest.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

LEAST_ALIKE = 5  # requests on the line, before it counts as a template's
EXACT_SHARE, NEAR_SHARE = 0.5, 0.75  # how many must lie on the line itself, or else this near to it:
NEAR_TOKENS, NEAR_OF_TEMPLATE = 2, 1 / 6
MOST_POINTS = 40  # numbers of messages that a line is drawn through; more say nothing new
Counts = NDArray[np.int64]


def messages() -> pl.Expr:
    """Messages that a request carries: as recorded, else a user's message in each turn and an answer between two."""
    return pl.coalesce("message_count", 2 * pl.col("turn") - 1, pl.lit(1))


def template_tokens(gaps: Counts, counts: Counts) -> Counts:
    """For each request of a level the tokens that the template adds; all 0 if they cannot be determined.

    `gaps`: tokens reported less tokens counted; `counts`: messages in the request.
    """
    nothing = np.zeros(len(gaps), np.int64)
    if len(gaps) < LEAST_ALIKE:
        return nothing
    lines = _lines(gaps, counts)
    fitting = (line for line in lines if _fits(gaps, line))
    return next(fitting, nothing)


def _lines(gaps: Counts, counts: Counts) -> list[Counts]:
    """Two lines of whole tokens, none of it below 0: the one that most requests lie on, and the one with the least distance to
    all gaps in sum. They are drawn through the most frequent and the middle gap of each number of messages."""
    points = []
    for number in _spread_out(np.unique(counts)):
        of_number = gaps[counts == number]
        values, times = np.unique(of_number, return_counts=True)
        points += [(int(number), float(values[times.argmax()])), (int(number), float(np.floor(np.median(of_number))))]
    lines = {(0.0, y) for _, y in points}
    for (x1, y1), (x2, y2) in combinations(points, 2):
        if x1 != x2 and (slope := (y2 - y1) / (x2 - x1)) > 0:
            lines.add((slope, y1 - slope * x1))
    cells, inverse = np.unique(np.stack([counts, gaps]), axis=1, return_inverse=True)
    weights = np.bincount(inverse.ravel())
    found = []
    for slope, base in sorted(lines):
        course = np.round(base + slope * cells[0])
        if not (course < 0).any():
            apart = np.abs(cells[1] - course)
            found.append((-int(weights[apart == 0].sum()), float((apart * weights).sum()), slope, base))
    best = [min(found), min(found, key=lambda line: (line[1], line[0]))] if found else []
    return [np.round(base + slope * counts).astype(np.int64) for _, _, slope, base in best]


def _spread_out(numbers: Counts) -> Counts:
    picked = np.linspace(0, len(numbers) - 1, min(len(numbers), MOST_POINTS)).round().astype(int)
    chosen: Counts = numbers[picked]
    return chosen


def _fits(gaps: Counts, line: Counts) -> bool:
    """Whether half of the requests lie on the line itself, or three quarters near it: within two tokens and a sixth of it."""
    apart, some = np.abs(gaps - line), line > 0
    near = some & (apart <= np.minimum(NEAR_TOKENS, NEAR_OF_TEMPLATE * line))
    enough = [(some & (apart == 0), EXACT_SHARE), (near, NEAR_SHARE)]
    return any(int(on.sum()) >= max(LEAST_ALIKE, share * len(gaps)) for on, share in enough)
