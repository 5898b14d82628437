from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import basetenkit as bk
from basetenkit.cli.app import app
from basetenkit.interop.genai_bench.flags import upload_from_command
from basetenkit.interop.genai_bench.shell import split
from basetenkit.interop.github_releases import Release
from basetenkit.notebook.magic import genai_bench

from ...storage.bucket_server import Store
from ...storage.conftest import bucket_store
from .test_flags import CHAT, IMAGES, PROMPT, WHOLE

__all__ = ["bucket_store"]
BASE = "genai-bench benchmark --api-base http://127.0.0.1:9/predict --num-concurrency 1 "
AWS = "--upload-results --storage-provider aws --storage-bucket bkt --storage-prefix team/runs"


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=2, itl_ms=0.5) as server:
        yield server


def storage(flags: str) -> bk.Storage | Release | None:
    return upload_from_command(BASE + flags)[1]


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        (AWS, "Storage('s3://bkt/team/runs')"),
        (
            f"{AWS} --storage-aws-region eu-west-1 --storage-aws-profile team --storage-auth-type user",
            "region='eu-west-1'",
        ),
        (
            "--upload-results --storage-provider=azure --storage-bucket box --storage-azure-account-name a",
            "az://box', account_name",
        ),
        (
            "--upload-results true --storage-provider gcp --storage-bucket b --storage-gcp-project-id p",
            "Storage('gs://b')",
        ),
        (
            "--upload-results --storage-bucket b --namespace ns --storage-aws-region r",
            "https://ns.compat.objectstorage.r.oracle",
        ),
    ],
)
def test_the_flags_name_a_folder_of_a_bucket(flags: str, shown: str) -> None:
    assert shown in repr(storage(flags))


@pytest.mark.parametrize("flags", ["", "--upload-results false", "--storage-bucket b"])
def test_without_upload_results_nothing_is_uploaded(flags: str) -> None:
    assert storage(flags) is None


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--upload-results --storage-provider aws", "needs --storage-bucket"),
        (
            "--upload-results --storage-provider github --storage-bucket v1 --github-owner team/results",
            "needs --github-token, or GITHUB_TOKEN",
        ),
        ("--upload-results --storage-bucket b", "of OCI the S3-compatible address is used: give --namespace"),
        (
            "--upload-results --storage-provider dropbox --storage-bucket b",
            "'dropbox' is not supported; one of aws, azure",
        ),
    ],
)
def test_what_cannot_be_uploaded_is_one_sentence(flags: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    with pytest.raises(bk.errors.ConfigError, match=said):
        storage(flags)


def test_a_secret_on_the_command_line_is_taken_and_warned_of_and_shown_nowhere() -> None:
    secret = "--storage-aws-access-key-id AK --storage-aws-secret-access-key pl4nted"
    with pytest.warns(UserWarning, match=r"--storage-aws-secret-access-key: other users .* set AWS_SECRET_ACCESS_KEY"):
        command, place = upload_from_command(f"{BASE}{AWS} {secret}")
    assert isinstance(place, bk.Storage)
    assert place.option("secret_access_key") == "pl4nted"
    assert "pl4nted" not in repr(place) + command + bk.config_from_command(command).model_dump_json()


def test_the_flags_of_github_name_a_release() -> None:
    flags = (
        "--upload-results --storage-provider github --storage-bucket v1 --github-owner team/results --github-token hush"
    )
    with pytest.warns(UserWarning, match="set GITHUB_TOKEN instead"):
        release = storage(flags)
    assert repr(release) == "Release(owner='team', repo='results', tag='v1', prefix='')"


def test_a_config_alone_says_that_it_uploads_nothing() -> None:
    with pytest.warns(UserWarning, match=r"--upload-results.*a RunConfig holds no bucket"):
        bk.config_from_command(f"{BASE}{AWS}")


COMMANDS = pytest.mark.parametrize(
    ("command", "path"), [(CHAT, "url"), (PROMPT, "prompt_url"), (WHOLE, "prompt_url"), (IMAGES, "url")], ids="abcd"
)


def small(command: str, url: str, folder: Path, flags: str) -> list[str]:
    """The words after `basetenkit` of a command of Baseten's page, with flags added, at a load that takes no time."""
    words = split(command.format(url=url, folder=folder))[2:] + split(flags)
    given = {
        "--model-tokenizer": "embedded",
        "--max-requests-per-run": "4",
        "--num-concurrency": "2",
        "--traffic-scenario": "D(20,5)",
    }
    if "--dataset-path" in words:
        from PIL import Image

        Image.new("RGB", (8, 8)).save(folder / "a.png")
        given |= {"--traffic-scenario": "dataset"}
    for flag, value in given.items():
        if flag in words:
            words[words.index(flag) + 1] = value
        else:
            words += [flag, value]
    return ["benchmark", *words, "--experiment-folder-name", "first", "--quiet"]


@COMMANDS
@pytest.mark.baseten("commands")
def test_the_command_lines_of_basetens_page_upload_their_run(
    bucket_store: Store, server: Any, tmp_path: Path, command: str, path: str
) -> None:
    done = CliRunner().invoke(app, small(command, getattr(server, path), tmp_path, AWS))
    assert done.exit_code == 0, done.output
    run = bk.load("s3://bkt/team/runs/first")
    assert run.complete
    assert run.rows.filter(run.rows["outcome"] == "ok").height >= 4


def test_the_magic_uploads_too(bucket_store: Store, server: Any) -> None:
    load = f"--api-base {server.url} --api-model-name m --num-concurrency 1 --traffic-scenario D(20,5) --max-requests-per-run 3"
    run = genai_bench(f"benchmark {load.replace('D(20,5)', chr(39) + 'D(20,5)' + chr(39))} {AWS}")
    assert run.path is None
    assert bk.history("s3://bkt/team/runs").collect().height == 1


def test_our_own_flag_and_an_upload_do_not_go_together() -> None:
    done = CliRunner().invoke(app, ["benchmark", *split(BASE)[2:], *split(AWS), "--save-to", "here"])
    assert "give it, or genai-bench's" in str(done.exception)
