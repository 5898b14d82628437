from __future__ import annotations

from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.storage.bucket import Bucket
from basetenkit.storage.opening import open_store
from basetenkit.storage.troubles import BucketError

from .bucket_server import Store

URL = "s3://bkt/a/b"


def test_without_credentials_the_cure_is_said(bucket_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BucketError, match="no credentials were found; set AWS_ACCESS_KEY_ID"):
        Bucket(bk.Storage(URL), retries=0).listed()


def test_a_wrong_key_is_refused_at_once(bucket_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "WRONG")
    with pytest.raises(BucketError, match=r"S3 refuses these credentials \(InvalidAccessKeyId\)"):
        Bucket(bk.Storage(URL)).put("x", b"")


def test_credentials_are_read_from_the_files_of_aws(
    bucket_store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    credentials, config = tmp_path / "credentials", tmp_path / "config"
    credentials.write_text("[team]\naws_access_key_id = GOODKEYID\naws_secret_access_key = x%y\n")
    config.write_text(f"[profile team]\nregion = eu-central-1\nendpoint_url = {bucket_store.url}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    Bucket(bk.Storage("s3://bkt/x", profile="team")).put("y", b"")
    monkeypatch.setenv("AWS_PROFILE", "team")
    Bucket(bk.Storage("s3://bkt/x")).put("z", b"")
    assert bucket_store.names() == ["x/y", "x/z"]
    with pytest.raises(bk.errors.ConfigError, match="no AWS profile 'others'"):
        Bucket(bk.Storage("s3://bkt/x", profile="others"))


AZURE = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=cGxhbnRlZA==;BlobEndpoint=https://blob.example/acc"


def test_a_connection_string_of_azure_names_account_key_and_address() -> None:
    store = open_store(bk.Storage("az://box/x", connection_string=AZURE), 1, 1.0)
    assert store.config["account_name"] == "acc"
    assert store.config["account_key"] == "cGxhbnRlZA=="
    assert store.config["endpoint"] == "https://blob.example/acc"
    with pytest.raises(bk.errors.ConfigError, match="names no account") as caught:
        open_store(bk.Storage("az://box/x", connection_string="planted"), 1, 1.0)
    assert "planted" not in str(caught.value)


def test_options_that_the_store_does_not_take_are_refused_without_their_values(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(bk.errors.ConfigError, match="the storage account is missing; set AZURE_STORAGE_ACCOUNT_NAME"):
        open_store(bk.Storage("az://box/x", account_key="cGxhbnRlZA=="), 1, 1.0)
    with pytest.raises(bk.errors.ConfigError, match="cannot be used") as caught:
        open_store(bk.Storage("az://box/x", account_name="acc", account_key="planted!"), 1, 1.0)
    assert "planted" not in str(caught.value)
    with pytest.raises(bk.errors.ConfigError, match="there is no credentials_file"):
        open_store(bk.Storage("gs://bkt", credentials_file=tmp_path / "none"), 1, 1.0)
