from __future__ import annotations

from pathlib import Path

from .papers import Papers, outputs


def test_without_a_person_the_form_is_one_line_and_the_run_is_made(papers: Papers, tmp_path: Path) -> None:
    made = outputs(papers.run("02_configure_and_run", tmp_path, max_requests=12))
    results = [o["data"]["text/plain"] for o in made if o.output_type == "execute_result"]
    form = next(o["data"]["text/plain"] for o in made if o.get("data", {}).get("text/plain", "").startswith("<RunForm"))
    assert form.count("\n") == 0
    assert "24 ok" in results[-1]
