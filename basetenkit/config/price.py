"""Price: what an endpoint costs, per minute of a dedicated replica or per million tokens of a shared API.

The package contains no prices, because prices change. A price comes from the user or from Baseten's management API, and each
figure that uses it shows its source and date.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from .coercions import as_text
from .model import Model

MILLION = 1e6
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Words = Annotated[str, BeforeValidator(as_text)]


class Price(Model):
    """What an endpoint costs in US dollars: `usd_per_minute` and `replicas` for a dedicated deployment, or
    `usd_per_million_...` for a shared API.

    Parameters
    ----------
    usd_per_minute : price of one replica for one minute in which it is up, busy or idle.
    replicas : the number of replicas that you pay for.
    startup_minutes : minutes in which each replica loads the model before a run, which you pay for as well; 0 for replicas that are
        up already. They are in the cost of a run and of a plan, and not in the cost per token.
    usd_per_million_input, usd_per_million_output : prices of a shared API, per million tokens; a missing one counts as 0.
    usd_per_million_cached : price of prompt tokens that the API reports as cached; None: the same as other prompt tokens.
    source : where the price comes from, e.g. "baseten.co/pricing".
    as_of : date of the price, as "2026-11-28".

    Raises
    ------
    ConfigError : no price is given, or both kinds are.

    Examples
    --------
    >>> import basetenkit as bk
    >>> bk.Price(usd_per_minute=0.5, replicas=2).usd_per_hour
    60.0
    >>> bk.Price(usd_per_million_input=1.0, usd_per_million_output=4.0).of_tokens(input_tokens=500_000, output_tokens=250_000)
    1.5
    """

    usd_per_minute: Usd | None = Field(None, description="US dollars per minute of one dedicated replica, e.g. 0.1")
    replicas: Annotated[int, Field(ge=1)] = Field(1, description="how many dedicated replicas are paid for, e.g. 1")
    startup_minutes: Usd = Field(
        0.0, description="minutes of start-up that are paid for each dedicated replica before a run, e.g. 4"
    )
    usd_per_million_input: Usd | None = Field(None, description="US dollars per million input tokens, e.g. 0.5")
    usd_per_million_output: Usd | None = Field(None, description="US dollars per million output tokens, e.g. 1.5")
    usd_per_million_cached: Usd | None = Field(
        None, description="US dollars per million input tokens that come from the cache, or None"
    )
    source: Words | None = Field(None, description="where the price comes from")
    as_of: Words | None = Field(None, description="the date of the price, e.g. '2026-11-28'")

    @field_validator("as_of", mode="before")
    @classmethod
    def _date_as_text(cls, given: object) -> object:
        return given.isoformat()[:10] if isinstance(given, date) else given

    @field_validator("as_of")
    @classmethod
    def _check_date(cls, given: str | None) -> str | None:
        if given is not None:
            try:
                date.fromisoformat(given)
            except ValueError:
                raise ValueError("it must be a date such as '2026-11-28'") from None
        return given

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if self.dedicated and self.shared:
            raise ValueError("give usd_per_minute (dedicated) or usd_per_million_... (shared), not both")
        if not self.dedicated and not self.shared:
            raise ValueError(
                "no price is given; set usd_per_minute, or usd_per_million_input and usd_per_million_output"
            )
        if self.shared and (self.replicas != 1 or self.startup_minutes):
            raise ValueError(
                "replicas and startup_minutes belong to usd_per_minute; a shared API has a price per token"
            )
        return self

    @classmethod
    def from_baseten(
        cls,
        model_id: str,
        *,
        environment: str = "production",
        deployment: str | None = None,
        api_key: str | SecretStr | None = None,
        replicas: int | None = None,
        base_url: str | None = None,
    ) -> Self:
        """The price that Baseten's management API states, with its source and today's date.

        Parameters
        ----------
        model_id : id of a dedicated model, e.g. "abcd1234"; or the name of a shared Model API, e.g. "openai/gpt-oss-120b".
        environment, deployment : which deployment of a dedicated model; `deployment` is an id and replaces `environment`.
        api_key : the key; None: BASETEN_API_KEY, then MODEL_API_KEY from the environment. It is sent only to baseten.co or to
            this machine.
        replicas : the number of replicas that you pay for; None: those that are active now, at least 1.
        base_url : address of the management API; None: https://api.baseten.co.

        Raises
        ------
        ConfigError : there is no key, the address must not get the key, there is no such model or no price for it, or the API
            does not answer.
        """
        from .baseten_prices import price_fields

        fields: dict[str, Any] = price_fields(model_id, environment, deployment, api_key, replicas, base_url)
        return cls(**fields, as_of=f"{datetime.now(UTC):%Y-%m-%d}")

    @property
    def dedicated(self) -> bool:
        """Whether it is the price of dedicated replicas."""
        return self.usd_per_minute is not None

    @property
    def shared(self) -> bool:
        """Whether it is a price per token."""
        prices = (self.usd_per_million_input, self.usd_per_million_output, self.usd_per_million_cached)
        return any(price is not None for price in prices)

    @property
    def usd_per_hour(self) -> float | None:
        """US dollars per hour of all dedicated replicas; None for a shared API."""
        return None if self.usd_per_minute is None else 60 * self.usd_per_minute * self.replicas

    def of_seconds(self, seconds: float) -> float | None:
        """US dollars of all dedicated replicas for a time in s; None for a shared API."""
        return None if self.usd_per_hour is None else self.usd_per_hour * seconds / 3600

    def of_run(self, seconds: float) -> float | None:
        """US dollars of a whole run of so many s on dedicated replicas: rounded up to whole minutes, as they are metered, and with
        their start-up; None for a shared API."""
        return self.of_seconds(60 * math.ceil(seconds / 60 + self.startup_minutes))

    def of_tokens(self, input_tokens: float, output_tokens: float, cached_tokens: float = 0) -> float | None:
        """US dollars of these tokens at a shared API; None for dedicated replicas. `cached_tokens` are part of `input_tokens`."""
        if not self.shared:
            return None
        full = self.usd_per_million_input or 0.0
        cached = full if self.usd_per_million_cached is None else self.usd_per_million_cached
        out = (self.usd_per_million_output or 0.0) * output_tokens
        return (full * (input_tokens - cached_tokens) + cached * cached_tokens + out) / MILLION

    @property
    def origin(self) -> str:
        """Its source and date, in words."""
        return f"price from {self.source or 'the user'}" + (f", {self.as_of}" if self.as_of else "")
