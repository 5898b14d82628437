"""What the configuration's models are made of: coercions, secrets, and one sentence an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from basetenkit.config.coercions import as_list, from_json
from basetenkit.config.model import Model
from basetenkit.core.errors import ConfigError, MissingKeyError
from basetenkit.core.secrets import looks_secret, redact_url


class Inner(Model):
    url: str = Field(description="a URL")
    api_key: SecretStr | None = Field(None, description="the key")
    headers: dict[str, str] = Field(default_factory=dict, description="HTTP headers")
    limit: Annotated[float, Field(gt=0)] = Field(1.0, description="a number above 0, e.g. 1.5")

    @field_validator("api_key", mode="before")
    @classmethod
    def _check(cls, key: Any) -> Any:
        if isinstance(key, str) and " " in key:
            raise ValueError("it has a space inside")
        return key


class Outer(Model):
    inner: Inner = Field(description="an Inner, or its fields as a dict")
    levels: Annotated[list[int], BeforeValidator(as_list)] = Field(default_factory=lambda: [1], description="e.g. [1]")
    params: Annotated[dict[str, Any], BeforeValidator(from_json)] = Field(default_factory=dict)
    name: str = "x"

    @model_validator(mode="after")
    def _whole(self) -> Outer:
        if self.name == "bad":
            raise ValueError("a name and levels do not go together")
        return self


INNER = {"url": "http://x"}


def sentences(model: type[Model], **fields: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        model(**fields)
    assert isinstance(caught.value, ValueError)
    return str(caught.value).split("\n")


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "X-Api-Key",
        "api_key",
        "token",
        "access_token",
        "AWS_SECRET",
        "password",
        "passwd",
        "credential",
        "Cookie",
        "signature",
        "sig",
        "X-Amz-Signature",
        "x-sig",
        "client_secret",
        "refresh_token",
        "session_token",
        "eos_token_secret",
        "tokenizer_key",
        "authorization",
        "hf_token",
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert looks_secret(name)


HARMLESS = ["max_tokens", "maxTokens", "max_new_tokens", "stop_token", "eos_token", "stop_token_ids", "special_tokens"]
HARMLESS += ["prompt_cache_key", "tokenizer", "tokenizer_name", "logit_bias", "keywords", "author", "token_count"]


@pytest.mark.parametrize("name", ["x-team", "model", "a", "signal", "design", "content-type", *HARMLESS])
def test_other_names_are_none(name: str) -> None:
    assert not looks_secret(name)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/p?token=abc&a=1", "https://h/p?token=***&a=1"),
        ("https://user:pass@h:8080/p", "https://h:8080/p"),
        ("https://h/p?sig=abc#frag", "https://h/p?sig=***"),
        ("https://h/p?a=%20x&b=c+d&e&%74oken=abc", "https://h/p?a=%20x&b=c+d&e&%74oken=***"),
        ("https://h/p?empty=&key=", "https://h/p?empty=&key=***"),
        ("https://[::1]:8/p", "https://[::1]:8/p"),
        ("http://h", "http://h"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_json_in_a_string_becomes_what_it_says() -> None:
    assert from_json(' [1, "a"] ') == [1, "a"]
    assert from_json('{"a": 1}') == {"a": 1}
    for same in ("D(10,5)", "", 5, None, [1], "5"):
        assert from_json(same) == same
    with pytest.raises(ValueError, match="it is not valid JSON"):
        from_json("[1,")


@pytest.mark.parametrize(
    ("value", "out"),
    [
        (None, []),
        ("", []),
        (5, [5]),
        ("a", ["a"]),
        ("[1, 2]", [1, 2]),
        ((1, 2), [1, 2]),
        (range(1, 3), [1, 2]),
        ({3}, [3]),
        ('{"a": 1}', [{"a": 1}]),
    ],
)
def test_a_scalar_serves_for_a_list(value: Any, out: list[Any]) -> None:
    assert as_list(value) == out


def test_scalars_and_json_strings_make_a_model() -> None:
    made = Outer(inner=INNER, levels="[1, 8]", params='{"a": {"b": 1}}')
    assert (made.levels, made.params) == ([1, 8], {"a": {"b": 1}})
    assert Outer(inner=Inner(**INNER), levels=8).levels == [8]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Outer.inner: field required; an Inner, or its fields as a dict"),
        ({"inner": INNER, "nam": 1}, "Outer.nam: there is no such field; did you mean 'name'?"),
        ({"inner": INNER, "zzz": 1}, "Outer.zzz: there is no such field; the fields are inner, levels, params, name"),
        ({"inner": INNER | {"limt": 1}}, "Outer.inner.limt: there is no such field; did you mean 'limit'?"),
        ({"inner": INNER | {"limit": 0}}, "Outer.inner.limit: 0 should be greater than 0; a number above 0, e.g. 1.5"),
        ({"inner": INNER, "name": "bad"}, "Outer: a name and levels do not go together"),
        ({"inner": INNER, "levels": "[1,"}, "Outer.levels: '[1,' it is not valid JSON (Expecting value"),
        ({"inner": INNER, "levels": [1, "x"]}, "Outer.levels: 'x' should be a valid integer"),
        ({"inner": {}}, "Outer.inner.url: field required; a URL"),
        (
            {"inner": 5},
            "Outer.inner: should be a valid dictionary or instance of Inner; an Inner, or its fields as a dict",
        ),
    ],
)
def test_each_error_is_a_sentence_with_its_place_and_what_would_be_right(fields: dict[str, Any], sentence: str) -> None:
    (said,) = sentences(Outer, **fields)
    assert said.startswith(sentence)


def test_several_errors_are_a_sentence_each() -> None:
    said = sentences(Outer, inner=INNER | {"limit": -1}, levels="x", nam=1)
    assert [s.split(":")[0] for s in said] == ["Outer.inner.limit", "Outer.levels", "Outer.nam"]


def test_a_secret_is_in_no_error_and_no_repr() -> None:
    secret = "planted secret"
    for inner in (
        INNER | {"api_key": secret},
        INNER | {"api_key": {"value": secret}},
        {"url": {"at": secret}},
        {"url": [secret]},
        INNER | {"headers": f"authorization: {secret}"},
        INNER | {"headers": [("authorization", secret)]},
        f"http://h/?token={secret}",
        [secret],
    ):
        with pytest.raises(ConfigError) as caught:
            Outer(inner=inner)
        assert secret not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
    kept = Outer(inner=INNER | {"api_key": "planted-secret"})
    assert "planted-secret" not in f"{kept!r} {kept} {kept.inner!r}"


def test_a_long_value_is_cut() -> None:
    (said,) = sentences(Outer, inner=INNER, levels=["y" * 500])
    assert len(said) < 200


def test_a_repr_shows_what_differs_from_the_defaults() -> None:
    assert repr(Outer(inner=INNER)) == "Outer(inner=Inner(url='http://x'))"
    assert str(Outer(inner=INNER, levels=[1], name="y")) == "Outer(inner=Inner(url='http://x'), name='y')"


def test_validation_by_any_door_gives_the_same_sentence() -> None:
    doors: tuple[Callable[[], object], ...] = (
        lambda: Outer.model_validate({"inner": INNER, "nam": 1}),
        lambda: Outer.model_validate_json('{"inner": {"url": "http://x"}, "nam": 1}'),
        lambda: Outer(inner=INNER, nam=1),  # type: ignore[call-arg]
    )
    for door in doors:
        with pytest.raises(ConfigError, match=r"^Outer\.nam: there is no such field; did you mean 'name'\?$"):
            door()
    assert Outer.model_validate_json('{"inner": {"url": "http://x"}}') == Outer(inner=INNER)


def test_json_that_is_none_is_told_as_well() -> None:
    with pytest.raises(ConfigError, match="Outer: Invalid JSON"):
        Outer.model_validate_json("{")


def test_a_sentence_of_ours_inside_a_validator_stays_whole() -> None:
    class Strict(Model):
        name: str = Field("x", description="a name")

        @field_validator("name")
        @classmethod
        def _check(cls, name: str) -> str:
            raise MissingKeyError(f"{name!r} needs a key; give one")

    assert sentences(Strict, name="n") == ["Strict.name: 'n' needs a key; give one"]


def test_a_model_cannot_be_changed() -> None:
    made = Outer(inner=INNER)
    with pytest.raises(ValueError, match="frozen"):
        made.name = "z"  # type: ignore[misc]
    assert made.name == "x"
