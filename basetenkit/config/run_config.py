"""RunConfig: what to measure and how. It is validated when it is made.

The key, and header and URL query values that look secret, appear in no repr, dump or log. A config that is dumped to JSON and
loaded again is the same config without its secrets.

Forms and errors show the descriptions of the fields; their texts are defined only here.
"""

from __future__ import annotations

import warnings
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_serializer,
    field_validator,
    model_validator,
)

from ..core.secrets import fingerprint, redact, redact_url
from ..core.types import JsonObject
from .addresses import completed
from .coercions import as_levels, as_plain, as_scenarios, as_seconds, as_text, from_json, is_path, metric_name
from .endpoint import Endpoint, Seconds, Text
from .loads import Load
from .model import Model, OneOf
from .price import Price
from .scenarios import parse_scenario
from .tasks import TASKS
from .to_python import to_python

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
SLO_LIMITS = ("ttft_s", "first_content_s", "tpot_s", "e2e_s")
Params = Annotated[JsonObject, BeforeValidator(from_json)]
Count = Annotated[int, Field(ge=1)]


def _or_auto(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    return AUTO if value == AUTO else handler(value)


AUTO = "auto"
Requests = Annotated[int, Field(ge=1), WrapValidator(_or_auto), PlainSerializer(lambda n: n, return_type=Any)]
Share = Annotated[float, Field(gt=0, lt=1)]
RENAMED = {  # names of version 0.1.0.dev0, which new and saved configs may still use
    "give_up_after": "abort_after_failures",
    "stop_behind": "stop_on_overload",
    "answers": "history_from",
}
UNTIL_MOST = 10_000  # default of max_requests for a level that runs until it is precise
Levels = BeforeValidator(as_levels)


def _limits(given: object) -> object:
    """The limits of an SLO under their names here: "ttft" is understood as ttft_s, and "ttft_ms" is in milliseconds."""
    given = from_json(given)
    if not isinstance(given, dict):
        return given
    limits: dict[str, object] = {}
    for said, value in given.items():
        bare = said.removesuffix("_ms") if isinstance(said, str) else said
        if (name := metric_name(bare, SLO_LIMITS)) is None:
            raise ValueError(f"there is no limit {said!r}; the limits are {', '.join(sorted(SLO_LIMITS))}")
        if name in limits:
            raise ValueError(f"the limit {name} is given twice")
        limits[name] = f"{as_plain(value)} ms" if bare != said else as_plain(value)
    return limits


class RunConfig(Model):
    """A whole run: the endpoint, the requests to send, the load, and the limits."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    renamed: ClassVar = RENAMED

    endpoint: Endpoint = Field(description="an Endpoint, a URL, or the fields of an Endpoint as a dict")
    task: Annotated[str, OneOf(TASKS)] = Field(
        default="text-to-text", description="the task: text, images with text, or texts to embed"
    )
    tokenizer: Text | None = Field(
        default="embedded", description="'embedded', a local folder or file, or a Hugging Face id"
    )
    scenarios: Annotated[list[str], BeforeValidator(as_scenarios)] = Field(
        default_factory=lambda: ["D(100,100)"],
        description="traffic scenarios, e.g. 'D(100,100)' or ['N(480,240)/(300,150)']; mixed: '0.7*D(100,50)+0.3*P(1000,20)/50'; "
        "with a data set: 'dataset', 'RD(200)'",
    )
    concurrency: Annotated[list[Count], Levels] = Field(
        default_factory=lambda: [1, 8],
        description="requests in flight, whole numbers of at least 1, e.g. 8 or [1, 8]; one level for each",
    )
    request_rate: Annotated[list[Positive], Levels] = Field(
        default_factory=list, description="requests per second, above 0, e.g. 2.5 or [1, 2]; one level for each"
    )
    arrival: Literal["poisson", "constant", "uniform", "gamma"] = Field(
        default="poisson", description="distribution of the gaps between arrivals"
    )
    burstiness: Positive = Field(
        default=1.0, description="shape of gamma arrivals: 1 is Poisson, values below 1 are burstier"
    )
    max_in_flight: Count | None = Field(
        default=None, description="maximum number of requests in flight in an open loop, or None"
    )
    batch_size: Annotated[list[Count], Levels] = Field(
        default_factory=lambda: [1],
        description="inputs per request, for embeddings, e.g. 8 or [1, 8]; one level for each",
    )
    max_requests: Requests = Field(
        default=200,
        description="measured requests of each level and repeat, e.g. 200; 'auto': at least 200, 10 per user, 60 s of arrivals",
    )
    max_seconds: Seconds = Field(default=600.0, description="maximum duration of a level in seconds, e.g. 600")
    warmup_requests: Annotated[int, Field(ge=0)] = Field(
        default=0, description="requests to send before the measured ones, e.g. 8"
    )
    warmup_retries: Annotated[int, Field(ge=0, le=20)] = Field(
        default=5,
        description="how many times to resend a warm-up request after a 429, 502, 503 or 529, or after a failed connection",
    )
    repeats: Count = Field(default=1, description="how many times to run each level, e.g. 10")
    dataset: Any = Field(
        default=None,
        description="path, polars frame, or dataset description (also of a Hugging Face data set) to take prompts from",
    )
    history_from: Literal["model", "dataset"] = Field(
        default="model",
        description="which assistant replies go into the history: the model's or the data set's",
    )
    steady: bool = Field(
        default=True,
        description="send requests before the first and after the last measured one, so that all measured requests get the same "
        "load; without it, only the measured requests are sent",
    )
    request_params: Params = Field(
        default_factory=dict, description="additional payload fields, e.g. {'temperature': 0.7}"
    )
    seed: int = Field(default=0, description="a whole number; the same seed and salt give the same requests")
    salt: Text | None = Field(
        default=None, description="None for new prompts in each run, or a string to get the same prompts again"
    )
    workers: Annotated[int, Field(ge=0)] = Field(
        default=0, description="0: send from a thread in this process; N: send from N separate processes"
    )
    max_total_tokens: Count | None = Field(default=None, description="maximum number of tokens for a run, or None")
    capture: Literal["none", "errors", "all"] = Field(
        default="errors", description="which responses to save as raw bytes"
    )
    capture_limit_mb: Annotated[int, Field(ge=0)] = Field(
        default=256, description="maximum size of the saved raw bytes per run in megabytes"
    )
    until: Annotated[dict[str, Share], BeforeValidator(from_json)] = Field(
        default_factory=dict,
        description="end a level when half the width of a figure's interval is within this share of the figure, e.g. "
        "{'ttft_s_p95': 0.05}; max_requests is then the maximum",
    )
    slo: Annotated[dict[str, Annotated[Positive, BeforeValidator(as_seconds)]], BeforeValidator(_limits)] = Field(
        default_factory=dict, description="limits for goodput in seconds, e.g. {'ttft_s': 0.5} or {'ttft': '500ms'}"
    )
    price: Annotated[Price | None, BeforeValidator(from_json)] = Field(
        None,
        description="a Price, or its fields, e.g. {'usd_per_minute': 0.1, 'source': 'contract'}; for costs in US dollars",
    )
    stop_on_overload: bool = Field(
        default=False, description="stop an open-loop level if the requests in flight keep rising"
    )
    abort_after_failures: Count | None = Field(
        default=50, description="stop a level if its first N requests all fail; None: do not stop"
    )
    preflight: bool = Field(
        default=True,
        description="send one request first, and stop the run if no request can succeed (no connection, 401, 404)",
    )

    @model_validator(mode="before")
    @classmethod
    def _imply(cls, data: object) -> object:
        """A rate given alone leaves no concurrency levels; a data set given alone means the scenario `dataset`; a
        level that goes on until it is precise may take many requests."""
        if isinstance(data, dict):
            data = dict(data)
            if "request_rate" in data and "concurrency" not in data and as_levels(data["request_rate"]):
                data["concurrency"] = []
            if data.get("until") not in (None, "", "{}", {}) and "max_requests" not in data:
                data["max_requests"] = UNTIL_MOST
            if data.get("dataset") is not None and "scenarios" not in data:
                data["scenarios"] = ["dataset"]
        return data

    @field_validator("endpoint", mode="before")
    @classmethod
    def _url_alone(cls, endpoint: object) -> object:
        return {"url": endpoint} if isinstance(endpoint, str) and not endpoint.lstrip().startswith("{") else endpoint

    @field_validator("dataset", mode="before")
    @classmethod
    def _path_as_text(cls, dataset: object) -> object:
        return as_text(dataset) if is_path(dataset) or isinstance(dataset, bool) else dataset

    @field_validator("scenarios")
    @classmethod
    def _check_scenarios(cls, scenarios: list[str]) -> list[str]:
        if not scenarios:
            raise ValueError("at least one scenario is required")
        texts = [str(parse_scenario(s)) for s in scenarios]
        if len(set(texts)) < len(texts):
            raise ValueError("duplicate scenario")
        return texts

    @field_validator("batch_size")
    @classmethod
    def _check_batch_size(cls, sizes: list[int]) -> list[int]:
        if not sizes:
            raise ValueError("at least one batch size is required")
        return sizes

    @field_validator("concurrency", "request_rate", "batch_size")
    @classmethod
    def _check_levels(cls, levels: list[float]) -> list[float]:
        if len(set(levels)) < len(levels):
            raise ValueError("duplicate level")
        return levels

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if not self.concurrency and not self.request_rate:
            raise ValueError("no load is given; set concurrency=[1, 8] or request_rate=[2.0]")
        prompt_format = self.endpoint.request_format == "prompt" or self.request_params.get("use_prompt_format")
        if prompt_format and not TASKS[self.task].bare_prompt:
            raise ValueError(f"the prompt format does not support {self.task}; use request_format='chat'")
        return self

    def with_whole_url(self) -> Self:
        """The config with a complete URL: a base URL gets the only path that fits its task and format, with a warning; any other
        URL is unchanged. ConfigError, with the candidates, if several paths fit."""
        prompt_format = self.endpoint.request_format == "prompt" or bool(self.request_params.get("use_prompt_format"))
        url = completed(self.endpoint.url, self.task, prompt_format)
        if url == self.endpoint.url:
            return self
        warnings.warn(f"Endpoint.url is a base URL: requests go to {redact_url(url)}", stacklevel=4)
        return self.with_(endpoint=self.endpoint.with_(url=url))

    def requests_of(self, load: Load) -> int:
        """Measured requests of one level and repeat."""
        return load.auto_requests if str(self.max_requests) == AUTO else self.max_requests

    def around_of(self, load: Load) -> int:
        """About how many requests a steady level sends before and after its measured ones: until the load has settled, and until
        the last measured request has ended. 0 without `steady`."""
        return load.around(self.requests_of(load)) if self.steady else 0

    def to_python(self) -> str:
        """Python code that makes this config, without its secrets. ConfigError if the data set is a frame in memory."""
        return to_python(self)

    @field_serializer("request_params")
    def _dump_params(self, params: JsonObject) -> object:
        return redact(params)

    @field_serializer("dataset", when_used="json")
    def _dump_dataset(self, dataset: object) -> object:
        return dataset if isinstance(dataset, (str, dict, type(None))) else fingerprint(dataset)
