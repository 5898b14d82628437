"""Notebooks as papermill runs them. The tests of a process share one Jupyter kernel, whose names are cleared before each notebook:
to start a kernel and to import the package in it takes longer than most of these notebooks run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # what each of them imports takes seconds, and every process that runs tests reads this file
    from jupyter_client.manager import AsyncKernelManager
    from papermill import PapermillExecutionError

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
VEGA = "application/vnd.vega.v5+json"


class Papers:
    """Runs notebooks in the Jupyter kernel of `manager`."""

    def __init__(self, manager: AsyncKernelManager) -> None:
        self._manager = manager

    def run(self, path: str | Path, folder: Path, **parameters: Any) -> Any:
        """The notebook with its outputs; it is written to `out.ipynb` in `folder`, too. Text is the name of one of ours."""
        import papermill
        from papermill.clientwrap import PapermillNotebookClient
        from papermill.engines import NBClientEngine, papermill_engines

        with self._client() as client:

            class OnThisKernel(NBClientEngine):  # type: ignore[misc]
                @classmethod
                def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **_: Any) -> None:
                    of_papermill = PapermillNotebookClient(nb_man, km=self._manager, kernel_name=kernel_name)
                    of_papermill.kc = client
                    of_papermill.execute()

            papermill_engines.register("this kernel", OnThisKernel)
            notebook = NOTEBOOKS / f"{path}.ipynb" if isinstance(path, str) else path
            return papermill.execute_notebook(
                notebook, folder / "out.ipynb", parameters, progress_bar=False, engine_name="this kernel"
            )

    def error(self, path: str | Path, folder: Path, **parameters: Any) -> PapermillExecutionError:
        """The error that ends the notebook; a notebook that runs to its end fails the test."""
        import papermill

        with pytest.raises(papermill.PapermillExecutionError) as caught:
            self.run(path, folder, **parameters)
        return caught.value

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """A client of the Jupyter kernel, which no longer has the names of the notebook before."""
        from jupyter_core.utils import run_sync

        client = self._manager.client()
        client.start_channels()
        try:
            run_sync(client.wait_for_ready)(timeout=60)
            run_sync(client.execute_interactive)("%reset -f", silent=True, timeout=60)
            yield client
        finally:
            client.stop_channels()


@contextmanager
def one_kernel() -> Iterator[Papers]:
    """A kernel for as long as the block lasts."""
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import run_sync

    manager = AsyncKernelManager(kernel_name="python3")
    run_sync(manager.start_kernel)()
    try:
        yield Papers(manager)
    finally:
        run_sync(manager.shutdown_kernel)(now=True)


def outputs(notebook: Any) -> list[Any]:
    return [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]


def shown(notebook: Any) -> str:
    """What the cells show as text."""
    return "\n".join(str(o.get("data", {}).get("text/plain", o.get("text", ""))) for o in outputs(notebook))


def charts(notebook: Any) -> list[Any]:
    """The bundles that hold a chart; none needs a network."""
    assert "cdn." not in json.dumps(notebook)
    return [o["data"] for o in outputs(notebook) if VEGA in o.get("data", {})]
