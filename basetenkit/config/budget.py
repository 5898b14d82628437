"""Budget: how much a search may spend."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from .model import Model

Above = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Budget(Model):
    """How much a search may spend. If you give several limits, the search ends at the first one that it reaches. It exceeds the
    budget by at most one block.

    Parameters
    ----------
    minutes : time of the search, from its first request; waiting between blocks is included.
    requests : requests sent.
    tokens : input and output tokens together.
    usd : US dollars, computed with the config's price.

    Raises
    ------
    ConfigError : no limit is given, or one is not above 0.

    Examples
    --------
    >>> import basetenkit as bk
    >>> bk.Budget(minutes=30, usd=5)
    Budget(minutes=30.0, usd=5.0)
    """

    minutes: Above | None = Field(None, description="minutes, e.g. 30")
    requests: Above | None = Field(None, description="requests, e.g. 15000")
    tokens: Above | None = Field(None, description="input and output tokens, e.g. 1_000_000")
    usd: Above | None = Field(None, description="US dollars, by the config's price, e.g. 5")

    @model_validator(mode="after")
    def _check_any(self) -> Self:
        if not self.model_fields_set or all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError("give at least one limit, e.g. Budget(minutes=30)")
        return self
