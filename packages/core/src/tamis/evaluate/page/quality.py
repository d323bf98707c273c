"""How good each system is: means with intervals, differences with tests, and numbers about all queries together."""

from __future__ import annotations

import math

from tamis.evaluate.page.cells import cell, heading, interval, mean, signed, table, titled
from tamis.evaluate.result import Comparison, Evaluation, System
from tamis.view.wording import number, safe

SUMMARIES = {
    "abstained": "the share of queries for which nothing was kept",
    "abstention accuracy": "how often nothing was kept exactly where nothing is relevant",
    "AUROC": "how often a system is surer of a query with a relevant passage than of one without (0.5 is chance)",
    "nAUC": "how much of the possible gain comes from leaving out the queries it is least sure of (0 is chance)",
}
"""What numbers about all queries together say."""


def quality(evaluation: Evaluation) -> str:
    """The main metric with its interval and the difference from the first stage; the other metrics beside it."""
    main = evaluation.main
    others = [
        name for name in evaluation.metrics if name != main and any(interval(s, name) for s in evaluation.systems)
    ]
    heads = [
        heading("system", False),
        heading(safe(main)),
        heading("95 % interval", False, plain=True),
        heading("difference"),
        heading("against the first stage", False),
        heading("queries better"),
        heading("worse"),
        *(heading(safe(name)) for name in others),
    ]
    strip = _Strip(evaluation)

    def line(system: System) -> str:
        found = interval(system, main)
        pair = None if system.kind in ("first stage", "bound") else evaluation.comparison(system.name)
        return "".join(
            [
                titled(system),
                cell(f"<b>{found.mean:.3f}</b>" if found else "–", found.mean if found else -math.inf),
                strip.draw(system) if found else "<td></td>",
                *_difference(pair, system),
                *(mean(interval(system, name)) for name in others),
            ]
        )

    note = (
        '<p class="note">The bar is the range in which the mean would likely fall with other queries of the same kind; '
        "the upright line is the first stage. Differences are tested query by query and corrected for the number of "
        "comparisons.</p>"
    )
    return table(heads, evaluation.systems, line) + note


def summaries(evaluation: Evaluation) -> str:
    """Numbers that systems have about all queries together; nothing where no system has any."""
    systems = [s for s in evaluation.systems if any(map(math.isfinite, s.summary.values()))]
    names = list(dict.fromkeys(n for s in systems for n, value in s.summary.items() if math.isfinite(value)))
    if not names:
        return ""

    def line(system: System) -> str:
        values = [system.summary.get(name, math.nan) for name in names]
        return titled(system) + "".join(cell(number(v) if math.isfinite(v) else "–", v) for v in values)

    heads = [heading("system", False), *(heading(safe(name)) for name in names)]
    told = "; ".join(f"<b>{name}</b>: {meaning}" for name, meaning in SUMMARIES.items() if name in names)
    note = f'<p class="note">{told}.</p>' if told else ""
    return f"<h3>All queries together</h3>{table(heads, systems, line)}{note}"


def _difference(pair: Comparison | None, system: System) -> list[str]:
    if pair is None:
        word = {"first stage": "the first stage", "bound": ""}.get(system.kind, "not compared")
        return ["<td></td>", f'<td class="muted">{word}</td>', "<td></td>", "<td></td>"]
    verdict = pair.verdict()
    mark = {"better": "▲ ", "worse": "▼ "}.get(verdict, "")
    name = verdict if mark else "muted"
    return [
        f'<td class="number" data-value="{pair.difference}" title="95 % interval {signed(pair.low)} to '
        f'{signed(pair.high)}">{signed(pair.difference)}</td>',
        f'<td class="{name}" title="p = {pair.corrected:.2g} after correction ({pair.p:.2g} before), over {pair.n:,} '
        f'queries">{mark}{verdict}</td>',
        cell(f"{pair.better:,}", pair.better),
        cell(f"{pair.worse:,}", pair.worse),
    ]


class _Strip:
    """Draws intervals on the range that the systems (not the bounds) span."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.main = evaluation.main
        found = [i for s in evaluation.systems if s.kind != "bound" and (i := interval(s, self.main))]
        self.low = min((i.low for i in found), default=0.0)
        self.high = max((i.high for i in found), default=1.0)
        first = interval(evaluation.systems[0], self.main)
        self.first = None if first is None else first.mean

    def at(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(min(1.0, max(0.0, share)), 3)

    def draw(self, system: System) -> str:
        found = system.means[self.main]
        text = f"{found.low:.3f} to {found.high:.3f}"
        if system.kind == "bound":
            return f'<td class="muted">{text}</td>'
        line = "" if self.first is None else f'<i class="first" style="--at:{self.at(self.first)}"></i>'
        low, high = self.at(found.low), self.at(found.high)
        return (
            f'<td class="strip" title="{text}">{line}<i class="range" style="--at:{low};--to:{high}"></i>'
            f'<i class="dot" style="--at:{self.at(found.mean)}"></i><span class="sr">{text}</span></td>'
        )
