"""All data sets at a glance: systems against data sets, in the main metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tamis.evaluate.page.cells import interval
from tamis.evaluate.result import Evaluation


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
    def judged_by_model(self) -> bool: ...

    @property
    def standings(self) -> Sequence[Standing]: ...


def overview(names: Sequence[str], sections: Sequence[Standings]) -> dict[str, Any]:
    """One row per system, one column per data set."""
    systems = dict.fromkeys(s.system for item in sections for s in item.standings if s.kind != "bound")
    return {"systems": list(systems), "columns": [_column(*pair) for pair in zip(names, sections, strict=True)]}


def _column(name: str, section: Standings) -> dict[str, Any]:
    of = {s.system: s for s in section.standings if s.kind != "bound"}
    best = max((standing.mean for standing in of.values()), default=None)
    judged = "judged by a model" if section.judged_by_model else ""
    return {"name": name, "main": section.main, "of": of, "best": best, "judged": judged}
