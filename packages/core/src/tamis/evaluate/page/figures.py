"""Charts as plotly figures in plain data.

A colour that begins with `--` is a custom property of the page's style sheet; the script puts in its value under the
theme of the moment. Text from outside goes through `label`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tamis.view.wording import number

Figure = dict[str, Any]


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
            # Stands at the chosen query.
            shapes=[
                {
                    "type": "line",
                    "yref": "paper",
                    "y0": 0,
                    "y1": 1,
                    "line": {"color": "--muted", "width": 1, "dash": "dot"},
                }
            ],
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
