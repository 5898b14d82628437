from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import basetenkit as bk
from basetenkit.cli.app import app
from basetenkit.interop import github_releases
from basetenkit.interop.github_releases import Release, upload_run

from .genai_bench.test_flags import PROMPT
from .genai_bench.test_uploads import small
from .github_server import REPOSITORY, TOKEN, GitHub, github

FLAGS = "--upload-results --storage-provider github --storage-bucket v1 --storage-prefix team"
FLAGS += " --github-owner team --github-repo results"
RELEASE = Release("team", "results", "v1", "team")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    with github() as there:
        monkeypatch.setenv("GITHUB_API_URL", there.url)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.setattr(github_releases, "PAUSE_S", 0.01)
        yield there


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> bk.Run:
    with bk.emulator.serve(ttft_ms=2, itl_ms=0.5) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        config = bk.RunConfig(endpoint=endpoint, scenarios="D(20,5)", concurrency=2, max_requests=6, steady=False)
        return bk.run_sync(config, save_to=tmp_path_factory.mktemp("runs") / "first run")


def folder(run: bk.Run) -> Path:
    assert run.path is not None
    return run.path


def test_a_run_is_in_the_release_whole_and_its_assets_are_replaced(hub: GitHub, run: bk.Run, tmp_path: Path) -> None:
    names = upload_run(folder(run), RELEASE)
    assert names == ["team-first-run.zip", "team-first-run.html"]
    assert upload_run(folder(run), RELEASE) == names
    assets = hub.releases["v1"]
    assert sorted(assets) == sorted(names)
    assert assets["team-first-run.html"].startswith(b"<!doctype html>")
    with zipfile.ZipFile(io.BytesIO(assets["team-first-run.zip"])) as packed:
        assert "first run/lock" not in packed.namelist()
        packed.extractall(tmp_path)
    assert bk.load(tmp_path / "first run").requests.equals(run.requests)
    assert TOKEN.encode() not in b"".join(assets.values())
    assert hub.log.count(("POST", f"{REPOSITORY}/releases")) == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "GitHub refuses the token; renew it"),
        (403, "it needs to write contents of the repository"),
        (404, "there is no such repository, or the token cannot read it"),
        (422, "GitHub does not take these names"),
        (429, "GitHub takes no more requests for now"),
        (503, r"GitHub failed \(status 503\)"),
    ],
)
def test_what_github_refuses_is_one_sentence_that_names_the_folder(
    hub: GitHub, run: bk.Run, status: int, said: str
) -> None:
    hub.fault = lambda method, path: status if method == "POST" else None
    with pytest.raises(bk.errors.StoreError, match=said) as told:
        upload_run(folder(run), RELEASE)
    assert f"the run is in {folder(run)}: the same call uploads it again" in str(told.value)
    assert TOKEN not in str(told.value) + repr(Release("a", "b", "c", token=TOKEN))
    hub.fault = lambda *_: None
    assert upload_run(folder(run), RELEASE)


def test_a_failure_that_passes_is_tried_again(hub: GitHub, run: bk.Run) -> None:
    failures = [503, 502, 500]
    hub.fault = lambda method, path: failures.pop() if failures and path.endswith("/assets") else None
    upload_run(folder(run), RELEASE)
    assert not failures
    assert len(hub.releases["v1"]) == 2


def test_a_token_is_needed_and_goes_nowhere_unencrypted(
    hub: GitHub, run: bk.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "http://example.com")
    with pytest.raises(bk.errors.StoreError, match="is not https://; the token is not sent there"):
        upload_run(folder(run), RELEASE)
    monkeypatch.delenv("GITHUB_TOKEN")
    with pytest.raises(bk.errors.ConfigError, match="the token is missing; set GITHUB_TOKEN"):
        upload_run(folder(run), RELEASE)
    assert hub.log == []


def test_a_command_of_genai_bench_uploads_its_run(
    hub: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with bk.emulator.serve(ttft_ms=2, itl_ms=0.5) as server:
        done = CliRunner().invoke(app, small(PROMPT, server.prompt_url, tmp_path, FLAGS))
        assert done.exit_code == 0, done.output
        assert sorted(hub.releases["v1"]) == ["team-first.html", "team-first.zip"]
        assert bk.load(tmp_path / "first").complete
        monkeypatch.delenv("GITHUB_TOKEN")
        done = CliRunner().invoke(app, small(PROMPT, server.prompt_url, tmp_path, FLAGS))
        assert "--storage-provider github needs --github-token, or GITHUB_TOKEN" in str(done.exception)
