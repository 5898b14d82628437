"""The page of genai-bench's names and flags beside ours, from the tables that reading and writing use."""

from __future__ import annotations

from basetenkit.interop.genai_bench.flags import IDLE, IDLE_SWITCHES, SAID
from basetenkit.interop.genai_bench.names import LEVEL, OUTCOME, REQUEST, Name
from basetenkit.interop.genai_bench.refused import INSTEAD

START = """# Names and flags of genai-bench

`python -m docs.generate` writes this page from the code.

`bk.read_genai_bench(folder)` reads a result folder of genai-bench as a Run. `bk.write_genai_bench(run, folder)` writes a Run as
such a folder, which genai-bench's own `excel` and `plot` can read. Reading corrects values that are wrong by the files' own
numbers, and the run's findings report it. Values that genai-bench does not record (send times, chunks, texts) are null, so
throughput is null, too; genai-bench's own totals are in `run.metadata["genai_bench"]`. Throughput is written by genai-bench's
definition.

`basetenkit report`, `excel`, `plot` and `compare` also take result folders of genai-bench, and commands of genai-bench work
unchanged: `basetenkit excel --experiment-folder F --excel-name N`, `basetenkit plot --experiments-folder F --group-key none`. The
flags `--metric-percentile`, `--metrics-time-unit`, `--group-key` and `--preset` have no effect here; a message reports it.
If a command has a variable such as `$MODEL_API_KEY`, its value comes from the environment; if it is not set, the error names it.
"""


def _table(title: str, names: tuple[Name, ...]) -> str:
    out = f"\n## {title}\n\n| genai-bench | here | difference |\n|---|---|---|\n"
    return out + "".join(f"| `{n.theirs}` | {f'`{n.ours}`' if n.ours else '–'} | {n.differs} |\n" for n in names)


def page() -> str:
    out = START + _table("Metrics of a request", REQUEST + OUTCOME) + _table("Metrics of a scenario and level", LEVEL)
    out += "\n## Flags\n\nThese flags are accepted and have no effect here: " + ", ".join(
        f"`{f}`" for f in IDLE + IDLE_SWITCHES
    )
    out += ".\n\n| accepted, with a warning | why |\n|---|---|\n" + "".join(
        f"| `{f}` | {why} |\n" for f, why in SAID.items()
    )
    out += "\n| refused | use instead |\n|---|---|\n"
    return out + "".join(f"| `{f}` | {cure} |\n" for f, cure in INSTEAD.items())
