"""Quality against cost, as a plotly figure in plain data (see `figures`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tamis.evaluate.page.cells import interval
from tamis.evaluate.page.cost import costs
from tamis.evaluate.page.figures import Figure, label, layout
from tamis.evaluate.result import Evaluation, System
from tamis.view.wording import large, number

COSTS = {
    "seconds": "seconds per query",
    "calls": "model calls per query",
    "tokens": "tokens per query, in and out",
    "flops": "FLOPs a query",
}
"""What quality can be drawn against, and how the axis is called."""


LABEL = 0.08
"""The height of a label, as a share of the chart."""


def tradeoff(evaluation: Evaluation) -> dict[str, Figure]:
    """Quality against cost, one figure for each cost that some system has; without those of `undrawn`."""
    main = evaluation.main
    ranked = [s for s in evaluation.systems if s.kind == "pipeline" and interval(s, main) and not s.usage.cached]
    queries = len(evaluation.query_ids)
    made = {}
    for cost in COSTS:
        spent = {system.name: costs(system, queries)[cost] for system in ranked}
        shown = [system for system in ranked if spent[system.name] is not None]
        if any(spent.values()):
            made[cost] = _tradeoff(evaluation, shown, {s.name: spent[s.name] or 0.0 for s in shown}, COSTS[cost])
    return made


def undrawn(evaluation: Evaluation) -> str:
    """Which systems are left out and why: next to what was measured afresh, answers from a cache look cheap."""
    cached = [system.name for system in evaluation.systems if system.kind == "pipeline" and system.usage.cached]
    if not cached:
        return ""
    some = "is" if len(cached) == 1 else "are"
    return (
        f"{' and '.join(cached)} {some} not drawn: a cache answered some calls, so the cost of a first run is unknown."
    )


def _tradeoff(evaluation: Evaluation, systems: Sequence[System], spent: Mapping[str, float], title: str) -> Figure:
    main = evaluation.main
    means = {system.name: system.means[main] for system in systems}
    lines = [s for s in evaluation.systems if s.kind in ("first stage", "bound") and _mean(s, main) is not None]
    floor = max((_mean(s, main) or 0.0 for s in lines if s.kind == "first stage"), default=-math.inf)
    axis, places = _cost_axis(spent)
    ordered = sorted(systems, key=lambda s: (spent[s.name], -means[s.name].mean))
    front = pareto(((s.name, spent[s.name], means[s.name].mean) for s in ordered), floor)
    points = {
        "type": "scatter",
        "mode": "markers+text",
        "x": [places[s.name] for s in ordered],
        "y": [means[s.name].mean for s in ordered],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [means[s.name].high - means[s.name].mean for s in ordered],
            "arrayminus": [means[s.name].mean - means[s.name].low for s in ordered],
            "color": "--other",
            "thickness": 1.2,
            "width": 0,
        },
        "marker": {"size": 11, "color": ["--accent" if s.name in front else "--other" for s in ordered]},
        "text": [label(s.name, 28) for s in ordered],
        "textposition": "top right",
        "cliponaxis": False,
        "customdata": [s.name for s in ordered],
        "hovertext": [
            f"<b>{label(s.name)}</b><br>{label(main)} {means[s.name].mean:.3f} "
            f"[{means[s.name].low:.3f}, {means[s.name].high:.3f}]<br>{number(spent[s.name])} {title}"
            for s in ordered
        ],
        "hoverinfo": "text",
    }
    steps = {
        "type": "scatter",
        "mode": "lines",
        "x": [places[name] for name in front],
        "y": [means[name].mean for name in front],
        "line": {"shape": "hv", "color": "--accent", "width": 1.5},
        "hoverinfo": "skip",
    }
    heights = [value for i in means.values() for value in (i.low, i.high)]
    heights += [_mean(s, main) or 0.0 for s in lines if s.kind == "first stage"]
    low, high = min(heights), max(heights)
    reach = (high - low) or 0.1
    near = [s for s in lines if low - reach <= (_mean(s, main) or 0.0) <= high + reach]
    low, high = (edge([v, *((_mean(s, main) or 0.0) for s in near)]) for edge, v in ((min, low), (max, high)))
    return {
        "data": [steps, points],
        "layout": layout(
            xaxis={**axis, "title": title},
            yaxis={"title": label(main), "range": [low - 0.1 * reach, high + 0.1 * reach], "zeroline": False},
            shapes=[_reference(line, main, _covered(line, near, main, high - low + 0.2 * reach)) for line in near],
            annotations=[_beyond(line, main, high) for line in lines if line not in near],
            hovermode="closest",
        ),
    }


def _covered(line: System, lines: Sequence[System], main: str, span: float) -> bool:
    """Whether the name of a line would be written over that of one before it."""
    height = _mean(line, main) or 0.0
    before = lines[: lines.index(line)]
    return any(abs(height - (_mean(other, main) or 0.0)) < LABEL * span for other in before)


def _reference(line: System, main: str, covered: bool) -> Figure:
    height = _mean(line, main)
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": height,
        "y1": height,
        "line": {"color": "--muted", "width": 1, "dash": "solid" if line.kind == "first stage" else "dot"},
        "label": {
            "text": label(line.name, 28),
            "textposition": "start" if covered else "end",
            "yanchor": "bottom",
            "font": {"size": 12, "color": "--muted"},
        },
    }


def _beyond(line: System, main: str, high: float) -> Figure:
    """A bound so far off that its line would squeeze the rest is only named at the edge."""
    height = _mean(line, main) or 0.0
    above = height > high
    return {
        "text": f"{'↑' if above else '↓'} {label(line.name, 28)} {height:.3f}",
        "xref": "paper",
        "yref": "paper",
        "x": 1,
        "y": 1 if above else 0,
        "xanchor": "right",
        "yanchor": "top" if above else "bottom",
        "showarrow": False,
        "font": {"size": 12, "color": "--muted"},
    }


def pareto(points: Iterable[tuple[str, float, float]], floor: float = -math.inf) -> list[str]:
    """Names of the points (name, cost, quality), cheapest first, that are better than `floor` and all before them.

    >>> pareto([("a", 1, 0.5), ("b", 2, 0.4), ("c", 3, 0.6)])
    ['a', 'c']
    """
    names = []
    for name, _, quality in points:
        if quality > floor:
            names.append(name)
            floor = quality
    return names


def _cost_axis(spent: Mapping[str, float]) -> tuple[dict[str, Any], dict[str, float]]:
    """The axis, logarithmic where costs differ more than twentyfold, and where each system is on it.

    A logarithmic axis has no zero: what costs nothing is drawn left of the rest, at a tick labelled 0.
    """
    positive = sorted(value for value in spent.values() if value > 0)
    low, high = positive[0], positive[-1]
    free = len(positive) < len(spent)
    if high / low <= 20:
        return {"range": [-0.02 * high, 1.15 * high], "zeroline": False}, dict(spent)
    zero = low / 5
    decades = [10.0**n for n in range(math.ceil(math.log10(low) - 0.3), math.floor(math.log10(high) + 0.3) + 1)]
    ticks = [*([zero] if free else []), *(tick for tick in decades if tick > zero * 1.5)]
    start = zero if free else low
    axis = {
        "type": "log",
        "tickvals": ticks,
        "ticktext": ["0" if tick == zero else _tick(tick) for tick in ticks],
        "range": [math.log10(start) - 0.25, math.log10(high) + 0.35],
    }
    return axis, {name: value or zero for name, value in spent.items()}


def _tick(value: float) -> str:
    return large(value) if value >= 1 else f"{value:g}"


def _mean(system: System, metric: str) -> float | None:
    found = interval(system, metric)
    return None if found is None else found.mean
