"""What tables of systems are made of."""

from __future__ import annotations

import math
from typing import NamedTuple

from tamis.evaluate.result import Interval, System
from tamis.view.wording import MINUS, number

BOUNDS = {"oracle": "the best order of what was found", "shuffled": "a random order of what was found"}


class Head(NamedTuple):
    """The head of a column; a `plain` one does not sort."""

    name: str
    numeric: bool = True
    plain: bool = False


class Cell(NamedTuple):
    """A number as it is shown, and the value its column is sorted by."""

    shown: str
    value: float

    @property
    def sortable(self) -> float:
        return self.value if math.isfinite(self.value) else -math.inf


class Row(NamedTuple):
    """The numbers of one system."""

    system: System
    cells: list[Cell]


def mean(interval: Interval | None) -> Cell:
    """The mean of an interval; a dash, sorted last, for none."""
    if interval is None:
        return Cell("–", -math.inf)
    value = interval.mean
    return Cell(f"{value:.3f}" if abs(value) < 2 else number(round(value, 1)), value)


def interval(system: System, metric: str) -> Interval | None:
    """The mean of a metric, `None` where it is not defined for any query."""
    found = system.means.get(metric)
    return found if found and math.isfinite(found.mean) else None


def signed(value: float) -> str:
    return f"{'+' if value >= 0 else MINUS}{abs(value):.3f}"
