"""The page of genai-bench's names and flags beside ours, from the tables that reading and writing use."""

from __future__ import annotations

from basetenkit.interop.genai_bench.flags import IDLE, IDLE_SWITCHES, SAID
from basetenkit.interop.genai_bench.names import LEVEL, OUTCOME, REQUEST, Name
from basetenkit.interop.genai_bench.refused import INSTEAD

START = """# What genai-bench calls it

`python -m docs.generate` writes this page from the code.

`bk.read_genai_bench(folder)` makes a Run of a result folder, `bk.write_genai_bench(run, folder)` a folder of a Run, which
genai-bench's own `excel` and `plot` read. Reading corrects values that the files themselves show to be wrong, and reports
this in the run's findings. Values that were not recorded (send times, chunks, texts) are null, so throughput is null, too;
genai-bench's own totals are in `run.metadata["genai_bench"]`. Throughput that is written follows its definition.

`basetenkit report`, `excel`, `plot` and `compare` read its result folders by themselves, and its own commands work as they are
written: `basetenkit excel --experiment-folder F --excel-name N`, `basetenkit plot --experiments-folder F --group-key none`. What
`--metric-percentile`, `--metrics-time-unit`, `--group-key` and `--preset` choose there cannot be chosen here; a message says so.
In a command's text a variable such as `$MODEL_API_KEY` is filled in from the environment; one that is not set is refused by name.
"""


def _table(title: str, names: tuple[Name, ...]) -> str:
    out = f"\n## {title}\n\n| genai-bench | here | where they differ |\n|---|---|---|\n"
    return out + "".join(f"| `{n.theirs}` | {f'`{n.ours}`' if n.ours else '–'} | {n.differs} |\n" for n in names)


def page() -> str:
    out = START + _table("Of a request", REQUEST + OUTCOME) + _table("Of a scenario and level", LEVEL)
    out += "\n## Flags\n\nTaken, and nothing here depends on them: " + ", ".join(f"`{f}`" for f in IDLE + IDLE_SWITCHES)
    out += ".\n\n| taken, and said | why |\n|---|---|\n" + "".join(f"| `{f}` | {why} |\n" for f, why in SAID.items())
    out += "\n| refused | use instead |\n|---|---|\n"
    return out + "".join(f"| `{f}` | {cure} |\n" for f, cure in INSTEAD.items())
