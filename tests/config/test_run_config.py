from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from basetenkit.config.endpoint import Endpoint
from basetenkit.config.run_config import RunConfig
from basetenkit.core.errors import ConfigError

LOCAL: dict[str, Any] = {"url": "http://127.0.0.1:8000/predict"}
SECRET = "s3cr3t-value"


def config(**fields: Any) -> RunConfig:
    return RunConfig(**({"endpoint": LOCAL} | fields))


def error_of(**fields: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config(**fields)
    return str(caught.value)


def test_the_defaults_are_those_of_the_contract() -> None:
    made = config().model_dump()
    endpoint = made.pop("endpoint")
    assert endpoint == LOCAL | {
        "model": None, "api_key": None, "auth_scheme": "auto", "request_format": "chat", "stream": True, "headers": {},
        "verify": True, "client_cert": None, "proxy": None, "http2": False, "timeout_s": 600.0,
        "connect_timeout_s": 30.0, "first_byte_timeout_s": None,
        "between_bytes_timeout_s": None, "response_path": None, "prompt_key": "prompt", "max_tokens_key": "max_tokens",
    }  # fmt: skip
    assert made == {
        "task": "text-to-text", "tokenizer": "embedded", "scenarios": ["D(100,100)"], "concurrency": [1, 8],
        "request_rate": [], "arrival": "poisson", "burstiness": 1.0, "max_in_flight": None, "batch_size": [1],
        "max_requests": 200, "max_seconds": 600.0, "warmup_requests": 0, "warmup_retries": 5, "repeats": 1,
        "dataset": None, "history_from": "model",
        "steady": True, "until": {},
        "request_params": {}, "seed": 0, "salt": None, "workers": 0, "max_total_tokens": None, "capture": "errors",
        "capture_limit_mb": 256, "slo": {}, "price": None, "stop_on_overload": False, "abort_after_failures": 50, "preflight": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"concurrency": 8}, {"concurrency": [8]}),
        ({"concurrency": "8"}, {"concurrency": [8]}),
        ({"concurrency": "[1, 8]"}, {"concurrency": [1, 8]}),
        ({"concurrency": (2, 4)}, {"concurrency": [2, 4]}),
        ({"request_rate": 2.5}, {"request_rate": [2.5], "concurrency": []}),
        ({"request_rate": "[1, 2]"}, {"request_rate": [1.0, 2.0], "concurrency": []}),
        ({"request_rate": [], "max_requests": 5}, {"concurrency": [1, 8], "max_requests": 5}),
        ({"request_rate": 1, "concurrency": 4}, {"request_rate": [1.0], "concurrency": [4]}),
        ({"scenarios": "N(480, 240)/(300,150)"}, {"scenarios": ["N(480,240)/(300,150)"]}),
        ({"scenarios": '["D(1,1)", "D(2,2)"]'}, {"scenarios": ["D(1,1)", "D(2,2)"]}),
        ({"request_params": '{"temperature": 0.7}'}, {"request_params": {"temperature": 0.7}}),
        ({"slo": '{"ttft_s": 0.5}'}, {"slo": {"ttft_s": 0.5}}),
        ({"dataset": "prompts.csv"}, {"scenarios": ["dataset"]}),
        ({"dataset": "prompts.csv", "scenarios": "D(1,1)"}, {"scenarios": ["D(1,1)"]}),
    ],
)
def test_a_scalar_serves_for_a_list_and_a_json_string_too(given_: dict[str, Any], expected: dict[str, Any]) -> None:
    made = config(**given_)
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"concurency": 3}, "RunConfig.concurency: there is no such field; did you mean 'concurrency'?"),
        ({"concurrency": [0]}, "RunConfig.concurrency: 0 should be greater than or equal to 1; requests in flight"),
        ({"concurrency": [8, 8]}, "RunConfig.concurrency: [8, 8] duplicate level"),
        ({"batch_size": [4, 4]}, "RunConfig.batch_size: [4, 4] duplicate level"),
        ({"batch_size": []}, "RunConfig.batch_size: [] at least one batch size is required"),
        ({"scenarios": []}, "RunConfig.scenarios: [] at least one scenario is required"),
        ({"scenarios": ["D(1,1)", "D(1, 1)"]}, "duplicate scenario"),
        ({"scenarios": "N(480)"}, 'scenario "N(480)": N needs (mean,sd)/(mean,sd), e.g. N(480,240)/(300,150)'),
        ({"concurrency": [], "request_rate": []}, "RunConfig: no load is given; set concurrency=[1, 8] or"),
        ({"request_rate": [0]}, "RunConfig.request_rate: 0 should be greater than 0"),
        ({"request_rate": float("inf")}, "RunConfig.request_rate: inf should be a finite number"),
        ({"burstiness": float("nan")}, "RunConfig.burstiness: nan should be"),
        ({"slo": {"ttft_s": -1}}, "RunConfig.slo.ttft_s: -1 should be greater than 0"),
        ({"slo": {"itl": 1}}, "there is no limit 'itl'; the limits are e2e_s, first_content_s, tpot_s, ttft_s"),
        ({"max_seconds": 0}, "RunConfig.max_seconds: 0 should be greater than 0; maximum duration"),
        ({"request_params": '{"a":'}, "RunConfig.request_params: "),
        ({"task": "text-to-poems"}, "RunConfig.task: 'text-to-poems' should be 'text-to-text'"),
        ({"endpoint": {"url": "host/predict"}}, "RunConfig.endpoint.url: it must be an http:// or https:// URL"),
        ({"endpoint": {"url": "http://h:99999/"}}, "its port must be a number from 0 to 65535"),
        ({"endpoint": LOCAL | {"verify": "/no/such.pem"}}, "there is no CA file '/no/such.pem'"),
        ({"endpoint": LOCAL | {"client_cert": "/no/such.pem"}}, "there is no file '/no/such.pem'"),
        (
            {"endpoint": LOCAL | {"client_cert": __file__}},
            "must be a PEM file with a certificate and its unencrypted key",
        ),
        ({"endpoint": LOCAL | {"headers": {"a b": "c"}}}, "'a b' is not a valid header"),
        ({"endpoint": LOCAL | {"headers": {"Content-Length": "3"}}}, "'Content-Length' is set by the engine"),
        (
            {"endpoint": LOCAL | {"request_format": "prompt"}, "task": "text-to-embeddings"},
            "RunConfig: the prompt format does not support text-to-embeddings",
        ),
        (
            {"request_params": {"use_prompt_format": True}, "task": "image-text-to-text"},
            "RunConfig: the prompt format does not support image-text-to-text",
        ),
    ],
)
def test_an_error_says_what_where_and_what_would_be_right(fields: dict[str, Any], sentence: str) -> None:
    assert sentence in error_of(**fields)


def test_each_wrong_field_has_its_sentence() -> None:
    assert len(error_of(max_requests=0, repeats=0, capture="some").splitlines()) == 3


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "scenarios": st.lists(st.sampled_from(["D(1,2)", "N(5,1)/(5,1)", "U(1,2)", "RD"]), min_size=1, unique=True),
            "concurrency": st.lists(st.integers(1, 4096), min_size=1, unique=True),
            "request_rate": st.lists(st.floats(0.01, 1e6), min_size=1, unique=True),
            "arrival": st.sampled_from(["poisson", "constant", "uniform", "gamma"]),
            "seed": st.integers(-(2**40), 2**40),
            "salt": st.none() | st.text(max_size=8),
            "slo": st.dictionaries(st.sampled_from(["ttft_s", "tpot_s", "e2e_s"]), st.floats(0.001, 100)),
            "request_params": st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none()),
            "abort_after_failures": st.none() | st.integers(1, 99),
        },
    )
)
def test_what_a_config_dumps_comes_back_as_the_same_config(fields: dict[str, Any]) -> None:
    made = config(**fields)
    assert RunConfig.model_validate_json(made.model_dump_json()) == made
    assert RunConfig.model_validate(json.loads(made.model_dump_json())) == made


def secretive() -> RunConfig:
    return config(
        endpoint=Endpoint(
            url=f"https://user:{SECRET}@example.com/v1?token={SECRET}&path=a/b",
            api_key=SECRET,
            headers={"X-Auth-Token": SECRET, "Authorization": f"Bearer {SECRET}", "x-team": "research"},
        )
    )


def test_no_secret_shows_anywhere() -> None:
    made = secretive()
    shown = [repr(made), str(made), made.model_dump_json(), str(made.model_dump()), repr(made.endpoint)]
    assert all(SECRET not in text for text in shown)
    assert made.endpoint.url.count(SECRET) == 2


def test_less_its_secrets_it_comes_back_the_same() -> None:
    again = RunConfig.model_validate_json(secretive().model_dump_json()).endpoint
    assert again.url == "https://example.com/v1?token=***&path=a/b"
    assert again.headers == {"x-team": "research"}
    assert again.api_key is None


@pytest.mark.parametrize("bad", [{"api_key": f"{SECRET} x"}, {"url": f"ftp://h/?key={SECRET}"}, {"timeout_s": -1}])
def test_no_secret_shows_in_an_error(bad: dict[str, Any]) -> None:
    fields = {"url": f"http://h/?key={SECRET}", "api_key": SECRET, "headers": {"X-Api-Key": SECRET}} | bad
    with pytest.raises(ConfigError) as caught:
        Endpoint(**fields)
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        RunConfig(endpoint=fields)
    assert SECRET not in str(caught.value)


def test_a_copy_is_validated_as_a_new_one_is() -> None:
    made = config(concurrency=4, endpoint=LOCAL | {"api_key": SECRET, "headers": {"X-Auth-Token": SECRET}})
    for copy in (made.with_(max_requests="5"), made.model_copy(update={"max_requests": "5"})):
        assert (copy.max_requests, copy.concurrency, made.max_requests) == (5, [4], 200)
        assert copy.endpoint == made.endpoint
        assert copy.endpoint.key({}) == SECRET
    nested = made.model_copy(update={"endpoint": {"url": "http://h/other"}})
    assert (type(nested.endpoint), nested.endpoint.url) == (Endpoint, "http://h/other")
    assert made.endpoint.with_(model="m").headers == {"X-Auth-Token": SECRET}
    assert made.model_copy() == made.model_copy(deep=True) == made.with_() == made
    assert made.model_copy(deep=True).concurrency is not made.concurrency
    assert config().with_(request_rate=2).concurrency == []
    assert config().with_(dataset="a.csv").scenarios == ["dataset"]


@pytest.mark.parametrize(
    ("update", "sentence"),
    [
        ({"max_requests": 0}, "RunConfig.max_requests: 0 should be greater than or equal to 1"),
        ({"scenarios": "N(480)"}, "N needs (mean,sd)/(mean,sd)"),
        ({"endpoint": {"url": "nope"}}, "RunConfig.endpoint.url: it must be an http:// or https:// URL"),
        ({"concurency": 3}, "RunConfig.concurency: there is no such field; did you mean 'concurrency'?"),
        ({"concurrency": []}, "RunConfig: no load is given"),
        ({5: 1}, "the key 5 is not the name of a field"),
    ],
)
def test_a_copy_that_would_be_wrong_is_refused(update: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(concurrency=4).model_copy(update=update)
    assert sentence in str(caught.value)


def test_what_a_copy_of_an_endpoint_refuses_shows_no_secret() -> None:
    with pytest.raises(ConfigError, match=r"^Endpoint\.timeout_s: ") as caught:
        Endpoint(**LOCAL, api_key=SECRET).model_copy(update={"timeout_s": -1})
    assert SECRET not in str(caught.value)


def test_a_change_in_place_says_how_to_make_a_copy() -> None:
    made = config(endpoint=LOCAL | {"api_key": SECRET})
    for thing, name, cure in (
        (made, "max_requests", "config = config.with_(max_requests=...)"),
        (made.endpoint, "api_key", "endpoint = endpoint.with_(api_key=...)"),
    ):
        with pytest.raises(ConfigError, match=re.escape(cure)) as caught:
            setattr(thing, name, SECRET)
        assert SECRET not in str(caught.value)
        with pytest.raises(ConfigError, match=re.escape(cure)):
            delattr(thing, name)
    with pytest.raises(
        ConfigError, match=r"RunConfig\.max_request: there is no such field; did you mean 'max_requests'"
    ):
        made.max_request = 3  # type: ignore[attr-defined]


def test_an_endpoint_takes_its_url_without_a_name() -> None:
    assert Endpoint("http://h/predict", model="m") == Endpoint(url="http://h/predict", model="m")
    for wrong in (("http://h/p", "m"), ()):
        with pytest.raises(ConfigError, match=r"^Endpoint[:.]"):
            Endpoint(*wrong)
    with pytest.raises(ConfigError, match="only url may be given without its name"):
        Endpoint("http://h/p", url="http://h/p")  # type: ignore[misc]


def test_keys_that_are_no_names_are_told() -> None:
    doors: tuple[Callable[[], object], ...] = (
        lambda: RunConfig(endpoint={5: 1}),
        lambda: RunConfig.model_validate({"endpoint": LOCAL, 5: 1}),
    )
    for door in doors:
        with pytest.raises(
            ConfigError, match=r"^RunConfig(\.endpoint)?: the key 5 is not the name of a field; keys are text$"
        ):
            door()


@pytest.mark.parametrize("verify", ["x" * 300, "a\0b", 7])
def test_a_ca_file_that_cannot_be_one_is_told(verify: Any) -> None:
    with pytest.raises(ConfigError, match=r"^Endpoint\.verify: .*there is no CA file") as caught:
        Endpoint(**LOCAL, verify=verify)
    assert len(str(caught.value)) < 400
    assert [Endpoint(**(LOCAL | {"verify": v})).verify for v in (0, 1, False, True)] == [False, True, False, True]


def test_a_config_cannot_be_changed_afterwards() -> None:
    made = config(endpoint=LOCAL | {"verify": str(Path(__file__))})
    with pytest.raises((ConfigError, ValidationError)):
        made.seed = 3  # type: ignore[misc]
    assert made.seed == 0
    assert made.endpoint.verify == str(Path(__file__))


def test_an_endpoint_may_be_its_url_alone() -> None:
    url = "http://127.0.0.1:9/v1/chat/completions"
    assert RunConfig.model_validate({"endpoint": url}).endpoint.url == url
    with pytest.raises(ConfigError, match=r"RunConfig\.endpoint\.url: "):
        RunConfig.model_validate({"endpoint": "model-abcd1234"})


def test_each_error_has_its_place_beside_its_text() -> None:
    with pytest.raises(ConfigError) as caught:
        RunConfig(endpoint={"url": "ftp://x", "timeout_s": 0}, repeats=0, scenarios=["D(1,1)", "no"])
    errors = caught.value.errors
    assert [at for at, _ in errors] == [
        ("RunConfig", "endpoint", "url"),
        ("RunConfig", "endpoint", "timeout_s"),
        ("RunConfig", "scenarios"),
        ("RunConfig", "repeats"),
    ]
    assert str(caught.value).splitlines() == [f"{'.'.join(at)}: {said}" for at, said in errors]
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.errors, str(again)) == (errors, str(caught.value))


def test_an_error_without_a_place_is_its_text() -> None:
    error = ConfigError("give a folder")
    assert (error.errors, str(error)) == ([((), "give a folder")], "give a folder")


RENAMED = [
    ("give_up_after", "abort_after_failures", 7),
    ("stop_behind", "stop_on_overload", True),
    ("answers", "history_from", "dataset"),
]


@pytest.mark.parametrize(("old", "new", "value"), RENAMED)
def test_a_field_may_be_given_by_its_earlier_name(old: str, new: str, value: Any) -> None:
    made = config(**{old: value})
    assert getattr(made, new) == value
    assert made == config(**{new: value}) == RunConfig.model_validate_json(json.dumps({"endpoint": LOCAL, old: value}))
    assert config().with_(**{old: value}) == made
    assert made.with_(**{old: config().model_dump()[new]}) == config()
    for text in (made.model_dump_json(), made.to_python(), repr(made)):
        assert new in text
        assert old not in text
    assert f"RunConfig.{old}: it is the earlier name of {new}" in error_of(**{old: value, new: value})
