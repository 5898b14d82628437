"""Scenarios by the distribution of their output lengths, of means of about 100 tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate, pairwise
from random import Random

import numpy as np

from basetenkit.config.scenarios import Shape, parse_scenario


def in_steps(quantile: Callable[[float], float], edges: Sequence[float]) -> str:
    """A scenario whose output lengths have about that quantile function: uniform between each two of `edges`."""
    forms = []
    for low, high in pairwise(edges):
        least = math.ceil(quantile(low))
        forms.append(f"{high - low:.4f}*U(150,450)/({least},{max(math.floor(quantile(high)), least)})")
    return "+".join(forms)


# Means of about 100 tokens: exponential, and Pareto with 1.5, cut at 8,000 as a context is.
EXPONENTIAL = in_steps(lambda p: 2 - 98 * math.log(1 - p), [*np.arange(0, 0.95, 0.1), 0.95, 0.99, 0.9995])
HEAVY = in_steps(
    lambda p: min(2 + 33 * (1 - p) ** (-1 / 1.5), 8000),
    [0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.9997],
)
MIXTURE = "0.8*U(150,450)/(20,20)+0.2*U(150,450)/(800,800)"
POOL = 20_000  # shapes of which the first requests of a steady level are drawn


@cache
def openings(scenario: str) -> tuple[list[Shape], list[int]]:
    """(shapes of a scenario, their output lengths added up)."""
    rng, made = Random(0), parse_scenario(scenario)
    shapes = [made.sample(rng) for _ in range(POOL)]
    return shapes, list(accumulate(shape.output_tokens or 1 for shape in shapes))
