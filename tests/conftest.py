"""How the tests are shared out among processes; which are left out of a plain `pytest`; which need a tool that may be missing, and
how to get it. With CI set nothing is skipped: a missing tool fails."""

from __future__ import annotations

import functools
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from .papers import Papers, one_kernel
from .real import servers

CHROMIUM = os.environ.get("BASETENKIT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
BROWSER = "needs Chromium: `apt-get install chromium`, or set BASETENKIT_CHROMIUM to where it is"
NEEDED = {
    "test_genai_bench.py": ("genai-bench",),
    "test_hub_data.py": ("datasets",),
    "test_s3.py": ("moto",),
    "test_azure.py": ("azurite",),
    "test_trackers.py": ("trackers",),
}
REAL = f"needs the real model servers: `{servers.HOW}`"
# What plain `pytest` leaves out: it runs in CI, where the marker is named with -m, and where its file or folder is named.
LEFT_OUT = ("browser", "real", "thorough")
# What says in a test file that its tests start a server or a process, wait, draw, or repeat something at random many times.
SLOW = re.compile(
    r"emulator\.serve|\bsubprocess\b|\bsocket\b|\bpeer\b|\bserving\b|\bfaulty\b|\bthreading\b|\basyncio\.run|\bpapermill\b|\bpapers\b"
    r"|\brun_sync\b|\bbk\.(run|start|calibrate|preflight|report)\b|\bcharts?\b|\bgallery\b|\bdefault_rng\b|\bRandom\b"
)
TOGETHER = ("tests/real/", "tests/browser/")  # a group each: one process starts the servers, or a browser

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("basetenkit", deadline=None)
hypothesis.settings.load_profile("basetenkit")


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """The tests of a file run in one process, one after the other, so that what a file sets up is set up once."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if path.startswith(folder)), path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """None beside this process if only files were named; otherwise one more than there are cores: many tests wait."""
    if all(Path(name.partition("::")[0]).is_file() for name in config.args):
        return 0
    return max(2, os.cpu_count() or 1) + 1


@functools.cache
def fast(path: Path) -> bool:
    return not SLOW.search(path.read_text())


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m fast` the other files are not even imported."""
    skipped = (
        config.option.markexpr == "fast" and collection_path.name.startswith("test_") and not fast(collection_path)
    )
    return True if skipped else None


def may_open_raw_sockets() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP).close()
    except OSError:
        return False
    return True


def named(item: pytest.Item) -> bool:
    """Whether the command line names the test's file, or a folder of the tests that holds it."""
    asked = {(item.config.invocation_params.dir / name.partition("::")[0]).resolve() for name in item.config.args}
    return bool((asked - {Path(__file__).parent, item.config.rootpath}) & {item.path, *item.path.parents})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if fast(item.path):
            item.add_marker("fast")
    items.sort(key=lambda item: not item.nodeid.startswith(TOGETHER))  # the largest groups first
    if os.environ.get("CI"):
        return
    missing = {"browser": BROWSER} if CHROMIUM is None else {}
    if not may_open_raw_sockets():
        missing["raw"] = "needs a raw socket: run as root, or with CAP_NET_RAW"
    there = {name: servers.installed(name) for name in servers.NAMES}
    for item in items:
        for marker in LEFT_OUT:
            if item.get_closest_marker(marker) and marker not in config.option.markexpr and not named(item):
                item.add_marker(pytest.mark.skip(reason=f"left to CI; here: uv run pytest -m {marker}"))
        needed = NEEDED.get(item.path.name, ("truss", "llama"))
        if item.get_closest_marker("real") and not all(there[name] for name in needed):
            item.add_marker(pytest.mark.skipif(True, reason=REAL))
        for marker, how in missing.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skipif(True, reason=how))


@pytest.fixture(scope="session", autouse=True)
def no_hub_and_no_proxy() -> Iterator[None]:
    """Tests reach nothing but this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        for name in ("MODEL_API_KEY", "BASETEN_API_KEY"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def truss_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The predict URL of a real Truss server; see tests/real/truss_model.py for what it answers."""
    with servers.truss(tmp_path_factory.mktemp("truss")) as url:
        yield url


@pytest.fixture(scope="session")
def llama_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a real llama.cpp server with SmolLM2-135M."""
    with servers.llama(tmp_path_factory.mktemp("llama")) as url:
        yield url


@pytest.fixture(scope="session")
def papers() -> Iterator[Papers]:
    """Runs notebooks, all on one kernel."""
    with one_kernel() as papers:
        yield papers


@pytest.fixture
def artifacts(request: pytest.FixtureRequest) -> Path:
    """A folder outside git where a test leaves what a person may want to look at."""
    folder = Path(request.config.rootpath) / ".artifacts"
    folder.mkdir(exist_ok=True)
    return folder
