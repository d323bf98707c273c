"""HTML and SVG from the templates beside this module. Every value is escaped."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tamis.errors import needed
from tamis.evaluate.page.cells import BOUNDS, signed
from tamis.view.wording import cut, number


def rendered(template: str, **values: Any) -> str:
    """A template with its values. `{{ value | safe }}` in a template marks what the page made itself: the only holes
    that take a value unescaped."""
    made: str = _environment().get_template(template).render(**values)
    return made


@lru_cache(maxsize=1)
def _environment() -> Any:
    jinja2 = needed("jinja2", "The report page", "eval")
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("tamis.evaluate.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_writable,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(count="{:,}".format, one="{:.1f}".format, cut=cut, number=number, signed=signed)
    made.globals.update(BOUNDS=BOUNDS)
    return made


def _writable(value: Any) -> Any:
    """Text without characters that no encoding can write."""
    return value if hasattr(value, "__html__") else cut(value)
