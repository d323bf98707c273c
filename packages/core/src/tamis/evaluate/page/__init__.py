"""The report: one self-contained HTML page of an evaluation, with charts, that needs nothing from elsewhere."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from tamis.errors import installed
from tamis.evaluate.page.figures import gains, movement
from tamis.evaluate.page.overview import overview
from tamis.evaluate.page.pictures import DRAWN
from tamis.evaluate.page.rendering import rendered
from tamis.evaluate.page.sections import Section, section
from tamis.view.picture import stylesheet

__all__ = ["Section", "render", "section"]

SCRIPTS = ("basics.js", "charts.js", "links.js", "explorer.js", "query.js", "page.js")


def render(sections: Sequence[Section], *, title: str = "Reranking, measured") -> str:
    """The page as one string to write as UTF-8; `sections` come from `section`, one a data set.

    It loads nothing: style, data, the script and plotly (packed, about 2 MB) are inside, and its content security
    policy forbids all else. Raises `MissingExtra` when plotly or Jinja2 is not installed.

    >>> page = render([section(evaluation)], title="Our help pages")          # doctest: +SKIP
    >>> Path("report.html").write_text(page, encoding="utf-8")                # doctest: +SKIP
    """
    with installed("The report page", "eval"):
        from plotly.offline import get_plotlyjs  # type: ignore[import-untyped, unused-ignore]

    here = files("tamis.evaluate.page")
    names = _distinct([item.name for item in sections])
    plotly = get_plotlyjs()
    script = "\n".join(here.joinpath("script", name).read_text(encoding="utf-8") for name in SCRIPTS)
    data = {
        "sections": [{**item.data, "name": name} for item, name in zip(sections, names, strict=True)],
        "figures": {"gains": gains(), "movement": movement()},
        "near": DRAWN,
    }
    return rendered(
        "page.html.j2",
        title=title,
        policy="default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
        f"form-action 'none'; script-src {_fingerprint(plotly)} {_fingerprint(script)}",
        style=here.joinpath("page.css").read_text(encoding="utf-8") + stylesheet(),
        overview=overview(names, sections) if len(sections) > 1 else None,
        sections=[
            {"name": name, "head": item.head, "pictures": embedded(item.pictures)}
            for name, item in zip(names, sections, strict=True)
        ],
        data=embedded(data),
        plotly=base64.b64encode(gzip.compress(plotly.encode("utf-8"), mtime=0)).decode("ascii"),
        script=script,
    )


def embedded(value: Any) -> str:
    """JSON that is safe inside a script element, whatever text it holds.

    >>> embedded("</script>")
    '"\\\\u003c/script>"'
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _fingerprint(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _distinct(names: Sequence[str]) -> list[str]:
    """Names in which repeated ones carry a number, so that each can be linked to."""
    made: list[str] = []
    for name in names:
        unique, count = name, 1
        while unique in made:
            count += 1
            unique = f"{name} ({count})"
        made.append(unique)
    return made
