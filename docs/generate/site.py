"""What `mkdocs build` does besides (a hook of mkdocs.yml): it executes notebooks, serves the scripts of charts from the site,
takes the reference from docstrings, and turns links to files outside docs/ into links to the repository."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.generate import notebooks  # noqa: E402

REPOSITORY = "https://github.com/basetenkit/basetenkit/blob/main/"
SCRIPTS = '<script src="{base}assets/vega.js"></script><script src="{base}assets/charts.js"></script>'
NAME = re.compile(r"## `bk\.(\w+)`$", re.M)
# mkdocstrings would lose these tables, and show the texts of these lists as types
KEPT = ("\n| field | default | meaning |", "**Parameters**", "**Attributes**")


def on_pre_build(config: Any) -> None:
    """Executes the notebooks into docs/notebooks, which git ignores, and writes Vega's script beside the site's own."""
    import vl_convert

    docs = Path(config["docs_dir"])
    notebooks.write(docs / "notebooks")
    (docs / "assets" / "vega.js").write_text(vl_convert.javascript_bundle(), "utf-8")  # type: ignore[call-arg]


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """The page's text for the site."""
    source = page.file.src_uri
    if source == "changelog.md":
        markdown = (ROOT / "CHANGELOG.md").read_text("utf-8").replace("](docs/", "](")
        markdown = markdown.replace("](changes/", f"]({REPOSITORY}changes/")
    if source == "reference/api.md":
        markdown = reference(markdown)
    if source == "reference/gallery.md":
        markdown = gallery(markdown)
    up = "../" * source.count("/") + "../"  # from the page to the repository's root
    return markdown.replace(f"]({up}", f"]({REPOSITORY}")


def reference(markdown: str) -> str:
    """Classes and functions by mkdocstrings, which adds types and signatures. A configuration's fields stay a table, and a module
    stays its docstring. Lists of parameters and attributes stay as they are, because mkdocstrings takes their texts for types."""
    # the extension attr_list would take such an example for attributes
    markdown = markdown.replace("e.g. {'", "e.g. &#123;'")
    head, *sections = re.split(r"(?=^## )", markdown, flags=re.M)
    out = [head]
    for section in sections:
        named = NAME.match(section)
        if named and "```python" in section and not any(mark in section for mark in KEPT):
            options = "show_root_heading: false, show_root_toc_entry: false, heading_level: 3"
            call = section[: section.index("```\n\n") + 4]
            section = f"{call}\n::: basetenkit.{named[1]}\n    options: {{{options}}}\n\n"
        out.append(section)
    return "".join(out)


def gallery(markdown: str) -> str:
    """Each picture as a live chart."""
    from basetenkit.reporting.altair_renderer import render
    from docs.generate.gallery import GALLERY

    def live(found: re.Match[str]) -> str:
        bundle, _ = render(GALLERY[found[1]][0]().to_dict())
        return notebooks.chart(bundle[notebooks.VEGA])

    return re.sub(r"!\[(\w+)\]\(gallery/\w+\.png\)", live, markdown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Adds the scripts of charts to pages that have some."""
    if 'class="chart"' not in output:
        return output
    base = "../" * page.file.dest_uri.count("/")
    return output.replace("</body>", SCRIPTS.format(base=base) + "</body>")
