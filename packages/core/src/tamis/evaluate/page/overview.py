"""All data sets at a glance: systems against data sets, in the main metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tamis.evaluate.page.cells import cell, heading, interval, scrolled
from tamis.evaluate.result import Evaluation
from tamis.view.wording import safe


@dataclass(frozen=True, slots=True)
class Standing:
    """The main metric of one system, and the verdict against the first stage."""

    system: str
    kind: str
    mean: float
    verdict: str


def standings(evaluation: Evaluation) -> list[Standing]:
    """The main metric of each system that has one."""
    made = []
    for system in evaluation.systems:
        found = interval(system, evaluation.main)
        if found:
            pair = evaluation.comparison(system.name)
            made.append(Standing(system.name, system.kind, found.mean, pair.verdict() if pair else ""))
    return made


class Standings(Protocol):
    """What `overview` needs of a section."""

    @property
    def main(self) -> str: ...

    @property
    def standings(self) -> Sequence[Standing]: ...


def overview(names: Sequence[str], sections: Sequence[Standings]) -> str:
    """One row a system, one column a data set."""
    systems = list(dict.fromkeys(s.system for item in sections for s in item.standings if s.kind != "bound"))
    heads = "".join(
        heading(f'<bdi>{safe(name, 40)}</bdi><span class="aside">{safe(item.main)}</span>')
        for name, item in zip(names, sections, strict=True)
    )
    found = [{s.system: s for s in item.standings if s.kind != "bound"} for item in sections]
    best = [max((s.mean for s in of.values()), default=math.nan) for of in found]
    rows = []
    for system in systems:
        cells = "".join(
            _standing(index, of.get(system), top) for index, (of, top) in enumerate(zip(found, best, strict=True))
        )
        rows.append(f'<tr><th scope="row"><bdi>{safe(system, 60)}</bdi></th>{cells}</tr>')
    head = f"<thead><tr>{heading('system', False)}{heads}</tr></thead>"
    table = f'<table class="sortable">{head}<tbody>{"".join(rows)}</tbody></table>'
    return (
        '<section class="overview"><h2>All data sets</h2>'
        f"{scrolled(table)}"
        '<p class="note"><span class="better">▲</span> better and <span class="worse">▼</span> worse than the first '
        "stage, beyond chance; without a mark no difference was seen. The best of each column is bold.</p></section>"
    )


def _standing(section: int, found: Standing | None, best: float) -> str:
    if found is None:
        return cell("–" + _mark(""), -math.inf)
    value = f"{found.mean:.3f}"
    shown = f"<b>{value}</b>" if found.mean == best else value
    link = f'<a data-section="{section}" data-system="{safe(found.system)}">{shown}</a>'
    return cell(link + _mark(found.verdict), found.mean)


def _mark(verdict: str) -> str:
    """A mark of the same width for each verdict, so that the numbers stand in line."""
    sign = {"better": "▲", "worse": "▼"}.get(verdict)
    return f' <span class="{verdict}" title="{verdict}">{sign}</span>' if sign else ' <span class="nomark">▲</span>'
