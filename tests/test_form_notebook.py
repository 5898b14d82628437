from __future__ import annotations

from pathlib import Path

import papermill

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "02_configure_and_run.ipynb"


def test_without_a_person_the_form_is_one_line_and_the_run_is_made(tmp_path: Path) -> None:
    made = papermill.execute_notebook(NOTEBOOK, tmp_path / "out.ipynb", {"max_requests": 12}, progress_bar=False)
    results = [
        o["data"]["text/plain"] for c in made.cells for o in c.get("outputs", []) if o.output_type == "execute_result"
    ]
    shown = [o["data"]["text/plain"] for c in made.cells for o in c.get("outputs", []) if "data" in o]
    form = next(text for text in shown if text.startswith("<RunForm"))
    assert form.count("\n") == 0
    assert "24 ok" in results[-1]
