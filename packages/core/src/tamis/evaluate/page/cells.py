"""Cells and tables of systems, as HTML. A number's cell carries the bare value, by which the script sorts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from tamis.evaluate.result import Interval, System
from tamis.view.wording import MINUS, number, safe

BOUNDS = {"oracle": "the best order of what was found", "shuffled": "a random order of what was found"}


def table(heads: Iterable[str], systems: Sequence[System], line: Callable[[System], str]) -> str:
    """One row a system; bounds stand apart below, wherever the others are sorted to."""
    rows = "".join(f"<tr>{line(system)}</tr>" for system in systems if system.kind != "bound")
    bounds = "".join(f"<tr>{line(system)}</tr>" for system in systems if system.kind == "bound")
    apart = f'<tbody class="bounds">{bounds}</tbody>' if bounds else ""
    head = f"<thead><tr>{''.join(heads)}</tr></thead>"
    return scrolled(f'<table class="sortable">{head}<tbody>{rows}</tbody>{apart}</table>')


def scrolled(table: str) -> str:
    """A frame that scrolls sideways, by keyboard too, where a table is wider than the window."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="table">{table}</div>'


def heading(name: str, numeric: bool = True, plain: bool = False) -> str:
    """The head of a column; a `plain` one does not sort."""
    attributes = (' class="number"' if numeric else "") + (" data-plain" if plain else "")
    return f"<th{attributes}>{name}</th>"


def cell(shown: str, value: float) -> str:
    return f'<td class="number" data-value="{value if math.isfinite(value) else -math.inf}">{shown}</td>'


def mean(interval: Interval | None) -> str:
    if interval is None:
        return cell("–", -math.inf)
    value = interval.mean
    return cell(f"{value:.3f}" if abs(value) < 2 else number(round(value, 1)), value)


def titled(system: System) -> str:
    """The head of a row: the name, which chooses the system, and what else to know of it."""
    name = f"<bdi>{safe(system.name, 60)}</bdi>"
    if system.kind == "bound":
        return f'<th scope="row">{name}{_aside(BOUNDS.get(system.name, ""))}</th>'
    kind = _aside("recorded run" if system.kind == "run" else "")
    return f'<th scope="row"><a data-system="{safe(system.name)}">{name}</a>{kind}</th>'


def interval(system: System, metric: str) -> Interval | None:
    """The mean of a metric, `None` where it is not defined for any query."""
    found = system.means.get(metric)
    return found if found and math.isfinite(found.mean) else None


def signed(value: float) -> str:
    return f"{'+' if value >= 0 else MINUS}{abs(value):.3f}"


def _aside(words: str) -> str:
    return f'<span class="aside">{words}</span>' if words else ""
