"""How far a system's probabilities can be taken at their word, as a chart."""

from __future__ import annotations

from collections.abc import Sequence

from tamis.evaluate.page.figures import Figure, layout
from tamis.evaluate.reliability import bins, ece


def reliability(probabilities: Sequence[float], relevant: Sequence[bool]) -> tuple[Figure, str]:
    """Predicted probability against observed share in bins, with the number of passages at each point, and a sentence
    on how to read it."""
    found = bins(probabilities, list(map(float, relevant)))
    told = [
        f"{b.count:,} passages with a probability of {b.low:.1f} to {b.high:.1f}: "
        f"{b.predicted:.3f} on average, {b.observed:.3f} of them relevant"
        for b in found
    ]
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
        "hovertext": told,
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
            xaxis={"title": "predicted probability", "range": [-0.02, 1.02], "zeroline": False},
            yaxis={"title": "share that is relevant", "range": [-0.02, 1.08], "zeroline": False},
            hovermode="closest",
        ),
    }
    error = ece(probabilities, list(map(float, relevant)))
    return figure, (
        f"On the dotted line probabilities are right; the number at a point says how many passages stand behind it. "
        f"Expected calibration error {error:.3f}; passages without a judgement count as not relevant. Queries that the "
        "calibration was fitted to make it look better than it is."
    )
