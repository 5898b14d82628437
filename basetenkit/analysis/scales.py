"""The scale on which a figure varies equally from run to run: logarithms, or for a share of requests the logit.

A share of exactly 0 or 1 has no logit; adding half a request on each side gives it one (the empirical logit; Haldane 1955). The
sampling error of such a share is known from the number of requests. A rate of 0 counts as a thousandth of the smallest rate
above 0: it is far below all others, but is not left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..stats import intervals as st
from .comparison import SHARES

Array = NDArray[np.float64]
HALF, UNKNOWN_N, OF_LEAST = 0.5, 100.0, 1e-3


def logit(shares: Array, n: Array) -> Array:
    """The empirical logit of shares of `n` requests each."""
    out: Array = np.log((shares * n + HALF) / ((1 - shares) * n + HALF))
    return out


def share(logits: Array, n: Array | float) -> Array:
    """The shares of `n` requests each that have these empirical logits, within 0 to 1."""
    out: Array = np.clip(((n + 2 * HALF) / (1 + np.exp(-logits)) - HALF) / n, 0.0, 1.0)
    return out


def sampling(pooled: Array, n: Array) -> Array:
    """The standard deviation of the logits of shares of `n` requests each, by chance alone, if `pooled` is the true share."""
    return np.sqrt(1 / (n * pooled + HALF) + 1 / (n * (1 - pooled) + HALF))


@dataclass(frozen=True, slots=True)
class Scaled:
    """A figure's values over runs on its scale, `x`, and what they vary by sampling at least: `floors` against those before,
    `own` against all; None if that is not known. `n`: requests of each; None if the scale is the logarithm."""

    x: Array
    floors: Array | None = None
    own: Array | None = None
    n: Array | None = None
    least: float = 0.0

    def part(self, i: int, j: int) -> Scaled:
        """The same of the runs from the i-th to before the j-th."""
        floors, own, n = (None if values is None else values[i:j] for values in (self.floors, self.own, self.n))
        return Scaled(self.x[i:j], floors, own, n, self.least)

    def back(self, x: Array) -> Array:
        """Figures of these runs from places on the scale."""
        if self.n is not None:
            return share(x, self.n)
        out = np.exp(x)
        return np.where(out > self.least * (1 + 1e-9), out, 0.0)


def scaled(metric: str, values: Array, n: Array) -> Scaled:
    """The values of a figure of the summary, in the order of the runs; `n`: the requests of each, NaN if not known."""
    if metric not in SHARES:
        positive = values[values > 0]
        least = OF_LEAST * float(positive.min()) if len(positive) and len(positive) < len(values) else 0.0
        return Scaled(
            np.log(np.where(values > 0, values, least or 1.0)), least=least or (0.0 if len(positive) else 1.0)
        )
    known = np.where(np.isfinite(n) & (n >= 1), n, UNKNOWN_N)
    hits, sent = np.cumsum(values * known), np.cumsum(known)
    before = np.concatenate([values[:1], hits[:-1] / sent[:-1]])
    own = sampling(np.full(len(values), hits[-1] / sent[-1]) if len(values) else values, known)
    return Scaled(logit(values, known), sampling(before, known), own, known)


def own_errors(on: Scaled, values: Array, low: Array, high: Array) -> Array:
    """The standard error of each run's own figure on the scale: a share's from its number of requests, else from its 95%
    interval or the one bound that it has (NaN: none); NaN if neither is known."""
    if on.own is not None:
        return on.own
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.abs(np.log(np.stack([low, high]) / values))
    known = np.isfinite(logs)
    n = known.sum(0)
    out: Array = np.where(n > 0, np.where(known, logs, 0.0).sum(0) / np.maximum(n, 1) / st.Z975, np.nan)
    return out


def filled(errors: Array) -> Array:
    """The same with the middle one of the others for each that is not known; all 0 if none is."""
    known = errors[np.isfinite(errors)]
    out: Array = np.where(np.isfinite(errors), errors, float(np.median(known)) if len(known) else 0.0)
    return out
