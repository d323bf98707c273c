"""Charts as plotly figures in plain data.

A colour that begins with `--` is a custom property of the page's style sheet; the script puts in its value under the
theme of the moment. Text from outside goes through `label`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tamis.evaluate.result import Evaluation, System
from tamis.show import large, number

Figure = dict[str, Any]

COSTS = {
    "seconds": "seconds a query",
    "calls": "model calls a query",
    "tokens": "tokens a query, in and out",
    "flops": "FLOPs a query",
}
"""What quality can be drawn against, and how the axis is called."""


def label(text: str, length: int = 40) -> str:
    """Text from outside for plotly, which reads some HTML in its labels.

    >>> label("<a href='#'>x</a>")
    "&lt;a href='#'&gt;x&lt;/a&gt;"
    """
    short = text if len(text) <= length else text[: length - 1] + "…"
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def layout(**more: Any) -> dict[str, Any]:
    """What all charts look like, with `more` on top; axes are merged."""
    axis: dict[str, Any] = {
        "gridcolor": "--line",
        "linecolor": "--line",
        "zerolinecolor": "--line",
        "fixedrange": True,
        "automargin": True,
        "title": {"font": {"size": 13, "color": "--muted"}},
    }
    base: dict[str, Any] = {
        "font": {"family": "ui-sans-serif, system-ui, sans-serif", "size": 13, "color": "--ink"},
        "paper_bgcolor": "--clear",
        "plot_bgcolor": "--clear",
        "margin": {"l": 56, "r": 20, "t": 16, "b": 48},
        "dragmode": False,
        "hoverlabel": {"bgcolor": "--paper", "bordercolor": "--line", "font": {"color": "--ink"}, "align": "left"},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": "--clear"},
        "showlegend": False,
    }
    for name in ("xaxis", "yaxis"):
        given = dict(more.pop(name, {}))
        title = {**axis["title"], "text": given.pop("title", "")}
        base[name] = {**axis, **given, "title": title}
    return {**base, **more}


def costs(system: System, queries: int) -> dict[str, float | None]:
    """What one query costs a system, by the names of `COSTS`; `None` where it was not measured."""
    usage = system.usage
    spread = queries or 1
    seconds = system.speed.p50 if system.speed.p50 is not None else (usage.seconds / spread or None)
    return {
        "seconds": seconds,
        "calls": usage.calls / spread,
        "tokens": usage.tokens / spread,
        "flops": getattr(usage, "flops", 0) / spread,
    }


def tradeoff(evaluation: Evaluation) -> dict[str, Figure]:
    """Quality against cost, one figure for each cost that some system has."""
    main = evaluation.main
    ranked = [
        system
        for system in evaluation.systems
        if system.kind == "pipeline" and main in system.means and math.isfinite(system.means[main].mean)
    ]
    queries = len(evaluation.query_ids)
    made = {}
    for cost in COSTS:
        spent = {system.name: costs(system, queries)[cost] for system in ranked}
        shown = [system for system in ranked if spent[system.name] is not None]
        if any(spent.values()):
            made[cost] = _tradeoff(evaluation, shown, {s.name: spent[s.name] or 0.0 for s in shown}, COSTS[cost])
    return made


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
        "textposition": [_side(place, len(ordered)) for place in range(len(ordered))],
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
            shapes=[_reference(line, main) for line in near],
            annotations=[_beyond(line, main, high) for line in lines if line not in near],
            hovermode="closest",
        ),
    }


def _reference(line: System, main: str) -> Figure:
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
            "textposition": "end",
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


def histogram(groups: Mapping[str, Sequence[float]], title: str, bins: int = 40) -> Figure | None:
    """Shares of each group of scores in equal bins; `None` when there is nothing to draw.

    `groups` may hold `relevant`, `not relevant` and `not judged`.
    """
    import numpy as np

    everything = [value for values in groups.values() for value in values]
    if not everything:
        return None
    low, high = min(everything), max(everything)
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    colours = {"relevant": "--accent", "not relevant": "--worse", "not judged": "--other"}
    steps = [edges[0], *((edges[:-1] + edges[1:]) / 2), edges[-1]]
    data: list[Figure] = []
    for name, values in groups.items():
        if not values:
            continue
        counts, _ = np.histogram(values, edges)
        told = [
            f"{name}: {count:,} passages with a score of {number(float(a))} to {number(float(b))}"
            for count, a, b in zip(counts.tolist(), edges, edges[1:], strict=False)
        ]
        shares = [round(float(share), 5) for share in counts / len(values)]
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{name} ({len(values):,})",
                "x": [float(f"{step:.6g}") for step in steps],
                "y": [shares[0], *shares, shares[-1]],
                "line": {"shape": "hvh", "color": colours[name], "width": 1.8},
                "fill": "tozeroy",
                "fillcolor": f"{colours[name]}-veil",
                "hovertext": [told[0], *told, told[-1]],
                "hoverinfo": "text",
                "visible": "legendonly" if name == "not judged" and len(data) == 2 else True,
            }
        )
    return {
        "data": data,
        "layout": layout(
            xaxis={"title": title, "zeroline": False},
            yaxis={"title": "share of each group", "tickformat": ".0%", "rangemode": "tozero"},
            showlegend=True,
            hovermode="closest",
        ),
    }


def gains() -> Figure:
    """Sorted bars of differences a query, for the script to fill in."""
    bars = {
        "type": "bar",
        "x": [],
        "y": [],
        "marker": {"color": [], "line": {"width": 0}},
        "hovertext": [],
        "hoverinfo": "text",
    }
    return {
        "data": [bars],
        "layout": layout(
            xaxis={"title": "queries, greatest gain first", "showgrid": False, "ticks": ""},
            yaxis={"title": "", "zeroline": True, "zerolinecolor": "--muted"},
            bargap=0.08,
            hovermode="x",
        ),
    }


def movement() -> Figure:
    """Lines from the place in the first stage to the new place, for the script to fill in: others, relevant ones."""

    def lines(name: str, colour: str, strong: str, width: float, size: int) -> Figure:
        return {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": [],
            "y": [],
            "line": {"color": colour, "width": width},
            "opacity": 1.0 if width > 2 else 0.6,
            "marker": {"size": size, "color": strong},
            "hovertext": [],
            "hoverinfo": "text",
        }

    sides = {"tickvals": [0, 1], "ticktext": ["first stage", "new order"], "range": [-0.1, 1.1], "side": "top"}
    return {
        "data": [lines("others", "--other", "--other", 1.0, 5), lines("relevant", "--accent", "--accent", 2.4, 8)],
        "layout": layout(
            xaxis={**sides, "showgrid": False, "zeroline": False},
            yaxis={"title": "place", "type": "log", "zeroline": False},
            margin={"l": 56, "r": 20, "t": 48, "b": 16},
            hovermode="closest",
            showlegend=True,
            legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": 0, "yanchor": "top", "bgcolor": "--clear"},
        ),
    }


def _cost_axis(spent: Mapping[str, float]) -> tuple[dict[str, Any], dict[str, float]]:
    """The axis, logarithmic where costs differ more than twentyfold, and where each system stands on it.

    A logarithmic axis has no zero: what costs nothing stands left of the rest, at a tick that says 0.
    """
    positive = sorted(value for value in spent.values() if value > 0)
    low, high = positive[0], positive[-1]
    free = len(positive) < len(spent)
    if high / low <= 20:
        return {"range": [0, high * 1.15]}, dict(spent)
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


def _side(place: int, count: int) -> str:
    return f"{'top' if place % 2 == 0 else 'bottom'} {'left' if place and place == count - 1 else 'right'}"


def _mean(system: System, metric: str) -> float | None:
    interval = system.means.get(metric)
    return None if interval is None or not math.isfinite(interval.mean) else interval.mean
