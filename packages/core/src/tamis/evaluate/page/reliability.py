"""The reliability diagram, as a chart of the page and as a file: predicted probability against observed share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace

from tamis.errors import installed
from tamis.evaluate.page.figures import Figure, layout
from tamis.evaluate.page.rendering import rendered
from tamis.evaluate.reliability import Bin, bins, ece

SIDE, LEFT, TOP, RIGHT, BARS = 400, 64, 44, 20, 90
GAP, BOTTOM = 26, 44
AXES = SimpleNamespace(predicted="predicted probability", observed="share that is relevant")


def reliability(probabilities: Sequence[float], relevant: Sequence[bool]) -> tuple[Figure, str]:
    """Predicted probability against observed share in bins, with the number of passages at each point, and a sentence
    on how to read it."""
    found = bins(probabilities, list(map(float, relevant)))
    points = {
        "type": "scatter",
        "mode": "lines+markers+text",
        "x": [round(b.predicted, 4) for b in found],
        "y": [round(b.observed, 4) for b in found],
        "text": [f"{b.count:,}" for b in found],
        "textposition": "top left",
        "textfont": {"size": 11, "color": "--muted"},
        "line": {"color": "--accent", "width": 1.8},
        "marker": {"color": "--accent", "size": 8},
        "hovertext": [caption(b) for b in found],
        "hoverinfo": "text",
        "cliponaxis": False,
    }
    ideal = {
        "type": "scatter",
        "mode": "lines",
        "x": [0, 1],
        "y": [0, 1],
        "line": {"color": "--other", "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }
    figure = {
        "data": [ideal, points],
        "layout": layout(
            xaxis={"title": AXES.predicted, "range": [-0.02, 1.02], "zeroline": False},
            yaxis={"title": AXES.observed, "range": [-0.02, 1.08], "zeroline": False},
            hovermode="closest",
        ),
    }
    error = ece(probabilities, list(map(float, relevant)))
    return figure, (
        f"On the dotted line probabilities are right; the number at a point says how many passages it rests on. "
        f"Expected calibration error {error:.3f}; passages without a judgement count as not relevant. Queries that the "
        "calibration was fitted to make it look better than it is."
    )


def diagram(bins: Sequence[Bin], title: str, note: str = "") -> str:
    """The same as an SVG file, with 95 % Wilson intervals.

    Below the points are the counts, as bars of logarithmic height with the number on top. `bins` come from
    `tamis.evaluate.reliability.bins`. Raises `MissingExtra` when Jinja2 or SciPy is not installed.
    """
    most = math.log1p(max((b.count for b in bins), default=1))
    return rendered(
        "reliability.svg.j2",
        bins=bins,
        title=title,
        note=note,
        axes=AXES,
        side=SIDE,
        left=LEFT,
        top=TOP,
        width=LEFT + SIDE + RIGHT,
        height=TOP + SIDE + GAP + BARS + BOTTOM,
        floor=TOP + SIDE + GAP + BARS,
        x=lambda share: LEFT + share * SIDE,
        y=lambda share: TOP + (1 - share) * SIDE,
        height_of=lambda b: math.log1p(b.count) / most * BARS,
        interval=interval,
        caption=caption,
    )


def caption(b: Bin) -> str:
    """What is said of a point."""
    return (
        f"{b.count:,} passages with a probability of {b.low:.1f} to {b.high:.1f}: "
        f"{b.predicted:.3f} on average, {b.observed:.3f} of them relevant"
    )


def interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share seen in `count` trials (Wilson, 1927).

    >>> tuple(round(end, 3) for end in interval(0.5, 100))
    (0.404, 0.596)
    """
    with installed("A reliability diagram", "eval"):
        from scipy.stats import binomtest

    found = binomtest(round(share * count), count).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)
