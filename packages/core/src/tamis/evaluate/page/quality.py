"""How good each system is: means with intervals, differences with tests, and numbers about all queries together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tamis.evaluate.page.cells import Cell, Head, Row, interval, mean
from tamis.evaluate.result import Comparison, Evaluation, Interval, System
from tamis.view.wording import number

BESIDE = 8
"""Most metrics in one table."""
SUMMARIES = {
    "abstained": "the share of queries for which nothing was kept",
    "abstention accuracy": "how often nothing was kept exactly where nothing is relevant",
    "AUROC": "how often a system is surer of a query with a relevant passage than of one without (0.5 is chance)",
    "nAUC": "how much of the possible gain comes from leaving out the queries it is least sure of (0 is chance)",
}
"""What numbers about all queries together say."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: the main metric, and the difference from the first stage (`None`: not compared)."""

    system: System
    found: Interval | None
    pair: Comparison | None

    @property
    def mean(self) -> Cell:
        return Cell(f"{self.found.mean:.3f}", self.found.mean) if self.found else Cell("–", -math.inf)


def quality(evaluation: Evaluation) -> dict[str, Any]:
    """The main metric with its interval and the difference from the first stage; the other metrics in tables of their
    own, so that none is cut."""
    main = evaluation.main
    others = [
        name for name in evaluation.metrics if name != main and any(interval(s, name) for s in evaluation.systems)
    ]
    system = Head("system", numeric=False)
    heads = [
        system,
        Head(main),
        Head("95 % interval", numeric=False, plain=True),
        Head("difference"),
        Head("against the first stage", numeric=False),
        Head("queries better"),
        Head("worse"),
    ]
    rows = [
        Measured(
            system,
            interval(system, main),
            None if system.kind in ("first stage", "bound") else evaluation.comparison(system.name),
        )
        for system in evaluation.systems
    ]
    further = [
        {
            "heads": [system, *map(Head, names)],
            "rows": [Row(s, [mean(interval(s, name)) for name in names]) for s in evaluation.systems],
        }
        for names in (others[start : start + BESIDE] for start in range(0, len(others), BESIDE))
    ]
    return {"heads": heads, "rows": rows, "strip": Strip(evaluation), "further": further}


def summaries(evaluation: Evaluation) -> dict[str, Any] | None:
    """Numbers about all queries together of the systems that abstain on some of them; `None` where none does."""
    systems = [s for s in evaluation.systems if s.summary.get("abstained")]
    names = list(dict.fromkeys(n for s in systems for n, value in s.summary.items() if math.isfinite(value)))
    if not names:
        return None

    def cell(value: float) -> Cell:
        return Cell(number(value) if math.isfinite(value) else "–", value)

    return {
        "heads": [Head("system", numeric=False), *map(Head, names)],
        "rows": [Row(system, [cell(system.summary.get(name, math.nan)) for name in names]) for system in systems],
        "meanings": [(name, meaning) for name, meaning in SUMMARIES.items() if name in names],
    }


class Strip:
    """Where intervals are drawn: on the range that the systems (not the bounds) span."""

    def __init__(self, evaluation: Evaluation) -> None:
        found = [i for s in evaluation.systems if s.kind != "bound" and (i := interval(s, evaluation.main))]
        self.low = min((i.low for i in found), default=0.0)
        self.high = max((i.high for i in found), default=1.0)
        first = interval(evaluation.systems[0], evaluation.main)
        self.first = None if first is None else first.mean

    def at(self, value: float) -> float:
        """As a share of the range, 0 to 1."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(min(1.0, max(0.0, share)), 3)
