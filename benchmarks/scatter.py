"""A plain SVG of points with a marked frontier, legible on a light and on a dark page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from simulation import frontier

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 600, 440, 56, 30, 44, 46
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f; paint-order: stroke; stroke: #fff; stroke-width: 3px;
  stroke-opacity: .75; }
.title { font-weight: 600; font-size: 14px; }
.soft { fill: #57606a; font-size: 11px; }
.grid { stroke: #8c959f; stroke-opacity: .3; }
.line { fill: none; stroke: #0969da; stroke-width: 1.5; stroke-dasharray: 4 3; }
.best { fill: #0969da; }
.other { fill: #8c959f; }
.bar { stroke: #8c959f; stroke-opacity: .7; }
.named { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; stroke: #0d1117; } .soft { fill: #9198a1; } .line { stroke: #58a6ff; } .best { fill: #58a6ff; }
}
"""


@dataclass(frozen=True)
class Panel:
    """Points by name: (cost, effectiveness, half of its 95 % interval). Costs are drawn on a logarithmic axis."""

    title: str
    cost: str
    points: Mapping[str, tuple[float, float, float]]
    floor: float
    """Effectiveness without any method: the lower edge."""


def drawn(panels: Sequence[Panel], caption: str) -> str:
    """Panels two by two; of each point that is not on the frontier the number, which the caption's table explains."""
    rows = -(-len(panels) // 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {rows * HEIGHT + 24}" role="img">',
        f"<title>{escape(caption)}</title><style>{STYLE}</style>",
    ]
    for index, panel in enumerate(panels):
        left, top = index % 2 * WIDTH, index // 2 * HEIGHT
        parts.append(f'<g transform="translate({left} {top})">{_panel(panel)}</g>')
    parts.append(f'<text class="soft" x="{LEFT}" y="{rows * HEIGHT + 12}">{escape(caption)}</text></svg>')
    return "\n".join(parts) + "\n"


def _panel(panel: Panel) -> str:
    low = math.floor(math.log10(min(cost for cost, _, _ in panel.points.values())))
    high = math.ceil(math.log10(max(cost for cost, _, _ in panel.points.values())) * 2) / 2
    bottom = math.floor(min(panel.floor, *(value - half for _, value, half in panel.points.values())) * 10) / 10

    def x(cost: float) -> float:
        return LEFT + (math.log10(cost) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - bottom) / (1.02 - bottom) * (HEIGHT - TOP - BOTTOM)

    out = [f'<text class="title" x="{LEFT}" y="22">{escape(panel.title)}</text>']
    for tick in range(round(bottom * 10), 11):
        out.append(_line(LEFT, y(tick / 10), WIDTH - RIGHT, y(tick / 10)))
        out.append(f'<text class="soft" x="{LEFT - 8}" y="{y(tick / 10) + 4:.1f}" text-anchor="end">{tick / 10}</text>')
    for power in range(low, math.floor(high) + 1):
        out.append(_line(x(10**power), TOP, x(10**power), HEIGHT - BOTTOM))
        label = f"{10**power:,}"
        out.append(f'<text class="soft" x="{x(10**power):.1f}" y="{HEIGHT - 28}" text-anchor="middle">{label}</text>')
    out.append(f'<text class="soft" x="{WIDTH - RIGHT}" y="{HEIGHT - 10}" text-anchor="end">{panel.cost}</text>')
    out.append(f'<text class="soft" x="{LEFT}" y="36">nDCG@10</text>')
    out.append(f'<path class="line" d="M{LEFT} {y(panel.floor):.1f}H{WIDTH - RIGHT}" stroke-opacity=".5"/>')
    out.append(f'<text class="soft" x="{WIDTH - RIGHT}" y="{y(panel.floor) - 4:.1f}" text-anchor="end">incoming</text>')

    numbers = {name: number for number, name in enumerate(panel.points, 1)}
    best = frontier({name: (cost, value) for name, (cost, value, _) in panel.points.items()})
    path = sorted((panel.points[name][:2] for name in best), key=lambda point: point[0])
    out.append(f'<path class="line" d="M{" L".join(f"{x(cost):.1f} {y(value):.1f}" for cost, value in path)}"/>')
    taken = [(x(cost) - 5, y(value) + 4, 10.0) for cost, value, _ in panel.points.values()]
    for name in sorted(panel.points, key=lambda name: name not in best):
        cost, value, half = panel.points[name]
        at, up = x(cost), y(value)
        marked = "best" if name in best else "other"
        told = f"{numbers[name]} {name}" if name in best else str(numbers[name])
        out.append(f"<g><title>{escape(f'{name}: {value:.3f} ± {half:.3f} at {cost:,.0f}')}</title>")
        out.append(f'<path class="bar" d="M{at:.1f} {y(value - half):.1f}V{y(value + half):.1f}"/>')
        out.append(f'<circle class="{marked}" cx="{at:.1f}" cy="{up:.1f}" r="{5 if name in best else 3.5}"/>')
        tx, ty = _free(at, up, 6.6 * len(told) + 4, taken)
        out.append(
            f'<text class="{"named" if name in best else "soft"}" x="{tx:.1f}" y="{ty:.1f}">{escape(told)}</text></g>'
        )
    return "\n".join(out)


def _free(at: float, up: float, width: float, taken: list[tuple[float, float, float]]) -> tuple[float, float]:
    """Where a label hides no other: beside its point, else a little above or below, to the left where it must."""
    spots = [(right, up + 4 + shift) for shift in (0, -12, 12, -24, 24, -36, 36) for right in (at + 8, at - width - 4)]
    spots = [(left, y) for left, y in spots if left > LEFT and left + width < WIDTH and TOP < y < HEIGHT - BOTTOM]
    for left, y in spots or [(at + 8, up + 4)]:
        if all(left + width < other or other + wide < left or abs(y - at_y) > 11 for other, at_y, wide in taken):
            break
    else:
        left, y = spots[0] if spots else (at + 8, up + 4)
    taken.append((left, y, width))
    return left, y


def _line(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<line class="grid" x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"/>'
