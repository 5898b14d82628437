from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.storage.address import as_place

HUSH = "pl4nted"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("s3://b/a/c", "s3://b/a/c"),
        ("s3://b/a//c/", "s3://b/a/c"),
        ("s3a://b", "s3://b"),
        ("gs://b/x y", "gs://b/x y"),
        ("abfs://box/x", "az://box/x"),
        (Path("s3://b/a") / "c", "s3://b/a/c"),
    ],
)
def test_an_address_is_that_of_a_folder_in_a_bucket(given: str | Path, url: str) -> None:
    place = as_place(given, "save_to")
    assert isinstance(place, bk.Storage)
    assert place.url == str(place) == url


@pytest.mark.parametrize("given", ["runs/a", "/tmp/a", "C:/runs", "a:b", Path("runs")])
def test_a_path_stays_a_path(given: str | Path) -> None:
    assert as_place(given, "save_to") == Path(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("https://host/bucket", r"https://\.\.\. is not the address of a bucket: give s3://"),
        ("ftp://h/x", "is not the address of a bucket"),
        (f"s3://key:{HUSH}@b/x", r"s3://b/x was given with more than bucket and path; credentials and options go in"),
        (f"az://b/x?sig={HUSH}", "never in the URL"),
        ("s3://b/../x", "'..' has no meaning"),
    ],
)
def test_what_is_no_address_is_refused_without_its_secret(given: str, said: str) -> None:
    with pytest.raises(bk.errors.ConfigError, match=said) as caught:
        as_place(given, "save_to")
    assert HUSH not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"account_name": "x"}, "account_name is an option of Azure Blob Storage, and s3://b is S3"),
        ({"access_key_id": "x"}, "secret_access_key is missing"),
        ({"endpoint": "ftp://x"}, "must be an http"),
        ({"endpoint": f"https://u:{HUSH}@x"}, "no user and no query"),
        ({"endpoint": "http://minio.example:9000"}, "is not encrypted"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(bk.errors.ConfigError, match=said) as caught:
        bk.Storage("s3://b", **options)  # type: ignore[arg-type]
    assert HUSH not in str(caught.value)


def test_credentials_are_shown_nowhere_and_are_not_pickled() -> None:
    place = bk.Storage("s3://b/x", endpoint="https://e", access_key_id=f"{HUSH}1", secret_access_key=f"{HUSH}2") / "y"
    assert repr(place) == "Storage('s3://b/x/y', endpoint='https://e')"
    assert place.option("secret_access_key") == f"{HUSH}2"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(place)
