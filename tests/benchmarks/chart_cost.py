"""What it costs to draw: `python tests/benchmarks/chart_cost.py`. Each chart of 100,000 requests at four levels, with three chunks
each, to its specification and as a picture: CPU time of this process in s, and the specification's size in kB. The summary, which
a Run keeps, is made before.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from basetenkit.reporting.altair_renderer import picture
from tests.reporting.test_charts import FUNCTIONS, big


class Kept:
    """A Run's frames, the summary made once."""

    def __init__(self) -> None:
        frames = big()
        self.requests, self.chunks, self.summary = frames.requests, frames.chunks, frames.summary


def main() -> None:
    run = Kept()
    FUNCTIONS["outcome_bars"](run).to_dict()  # the first chart of a process pays for the import of altair
    for name, draw in FUNCTIONS.items():
        began = time.process_time()
        spec = draw(run).to_dict()
        made = time.process_time()
        picture(spec)
        shown = time.process_time()
        print(f"{name:20} {made - began:6.2f} s, picture {shown - made:5.2f} s, {len(json.dumps(spec)) / 1e3:5.1f} kB")


if __name__ == "__main__":
    main()
