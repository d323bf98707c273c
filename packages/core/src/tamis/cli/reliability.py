"""A reliability diagram as SVG: predicted probability against observed share, with how many stand behind each point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from tamis.evaluate.reliability import Bin

SIDE, LEFT, TOP, RIGHT, BARS = 400, 64, 44, 20, 90
GAP, BOTTOM = 26, 44
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; font-size: 14px; } .soft { fill: #57606a; font-size: 11px; }
.grid { stroke: #8c959f; stroke-opacity: .3; } .ideal { stroke: #8c959f; stroke-dasharray: 4 3; }
.line { stroke: #0b7285; fill: none; stroke-width: 1.5; } .point { fill: #0b7285; }
.bar { fill: #0b7285; opacity: .45; }
.range { stroke: #0b7285; stroke-width: 1.5; opacity: .6; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .soft { fill: #9198a1; } .line, .range { stroke: #5cc8d7; } .point, .bar { fill: #5cc8d7; }
}
"""


def diagram(bins: Sequence[Bin], title: str, note: str = "") -> str:
    """Points above, with 95 % Wilson intervals and the diagonal of perfect calibration; below them the counts, as bars
    of logarithmic height with the number on top. `bins` come from `tamis.evaluate.reliability.bins`."""
    width, height = LEFT + SIDE + RIGHT, TOP + SIDE + GAP + BARS + BOTTOM
    floor = TOP + SIDE + GAP + BARS

    def x(share: float) -> float:
        return LEFT + share * SIDE

    def y(share: float) -> float:
        return TOP + (1 - share) * SIDE

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="20">{escape(title)}</text>',
        f'<text class="soft" x="{LEFT}" y="36">{escape(note)}</text>',
    ]
    for tick in range(6):
        share = tick / 5
        out.append(f'<path class="grid" d="M{LEFT} {y(share):.1f}H{LEFT + SIDE}M{x(share):.1f} {TOP}V{floor}"/>')
        out.append(f'<text class="soft" x="{LEFT - 8}" y="{y(share) + 4:.1f}" text-anchor="end">{share:.1f}</text>')
        out.append(f'<text class="soft" x="{x(share):.1f}" y="{floor + 16}" text-anchor="middle">{share:.1f}</text>')
    out.append(f'<path class="ideal" d="M{LEFT} {y(0)}L{LEFT + SIDE} {y(1)}"/>')
    out.append(f'<path class="line" d="M{" L".join(f"{x(b.predicted):.1f} {y(b.observed):.1f}" for b in bins)}"/>')
    most = math.log1p(max((b.count for b in bins), default=1))
    for b in bins:
        low, high = interval(b.observed, b.count)
        told = f"{b.count:,} predictions of {b.predicted:.3f} on average: {b.observed:.3f} relevant"
        tall = math.log1p(b.count) / most * BARS
        out.append(f"<g><title>{escape(told)}</title>")
        out.append(f'<path class="range" d="M{x(b.predicted):.1f} {y(low):.1f}V{y(high):.1f}"/>')
        out.append(f'<circle class="point" cx="{x(b.predicted):.1f}" cy="{y(b.observed):.1f}" r="4"/>')
        wide = (b.high - b.low) * SIDE - 2
        out.append(
            f'<rect class="bar" x="{x(b.low) + 1:.1f}" y="{floor - tall:.1f}" width="{wide:.1f}" height="{tall:.1f}"/>'
        )
        out.append(
            f'<text class="soft" x="{x((b.low + b.high) / 2):.1f}" y="{floor - tall - 4:.1f}" text-anchor="middle">'
            f"{b.count:,}</text></g>"
        )
    middle = TOP + SIDE / 2
    out.append(
        f'<text class="soft" x="16" y="{middle}" transform="rotate(-90 16 {middle})" text-anchor="middle">'
        "share that is relevant</text>"
    )
    out.append(
        f'<text class="soft" x="{LEFT + SIDE / 2}" y="{height - 8}" text-anchor="middle">predicted probability</text>'
    )
    return "\n".join([*out, "</svg>"]) + "\n"


def interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share seen in `count` trials (Wilson, 1927).

    >>> tuple(round(end, 3) for end in interval(0.5, 100))
    (0.404, 0.596)
    """
    from scipy.stats import binomtest

    found = binomtest(round(share * count), count).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)
