"""HTML from jinja2 templates, in which every value is escaped; no other module makes markup from templates."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup


def render(template: str, **values: object) -> Markup:
    """The HTML of a template of this package with its values.

    A value is text and is escaped, unless it is HTML already: what `render` returned, or an object with `__html__`. TypeError or
    UndefinedError if the template asks for a value that is not there.

        >>> render("<p>{{ text }}</p>", text="a < b")
        Markup('<p>a &lt; b</p>')
    """
    from markupsafe import Markup

    return Markup(_compiled(template).render(values))


@cache
def _compiled(template: str) -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template.lstrip("\n"))
