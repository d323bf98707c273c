"""A plain SVG of curves with marked points, one panel a test set, legible on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from scatter import STYLE

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560, 400, 50, 24, 44, 46
Point = tuple[float, float]
OWN = """
.line { stroke-dasharray: none; } .limit { stroke: #8c959f; stroke-dasharray: 2 3; fill: none; }
.free { fill: #8c959f; } .fitted { fill: #0969da; } .chosen { fill: #cf222e; }
@media (prefers-color-scheme: dark) { .fitted { fill: #58a6ff; } .chosen { fill: #ff7b72; } }
"""


@dataclass(frozen=True)
class Curve:
    """A line through points (x, y), single points by kind and name, and a limit: a y that nothing can exceed."""

    title: str
    line: Sequence[Point]
    points: Mapping[str, tuple[str, Point]]
    """By name: `free`, `fitted` or `chosen`, and where it is. Chosen ones carry their name."""
    limit: tuple[str, float]


def drawn(curves: Sequence[Curve], x_name: str, y_name: str, caption: str) -> str:
    """Panels two by two, each on axes of its own."""
    rows = -(-len(curves) // 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {rows * HEIGHT + 24}" role="img">',
        f"<title>{escape(caption)}</title><style>{STYLE}{OWN}</style>",
    ]
    for index, curve in enumerate(curves):
        place = f"translate({index % 2 * WIDTH} {index // 2 * HEIGHT})"
        parts.append(f'<g transform="{place}">{_panel(curve, x_name, y_name)}</g>')
    parts.append(f'<text class="soft" x="{LEFT}" y="{rows * HEIGHT + 12}">{escape(caption)}</text></svg>')
    return "\n".join(parts) + "\n"


def _panel(curve: Curve, x_name: str, y_name: str) -> str:
    shown = [point for _, point in curve.points.values()]
    right = max(x for x, _ in shown) * 1.05
    line = [point for point in curve.line if point[0] <= right]
    low = min(y for _, y in (*line, *shown)) - 0.02
    high = max(curve.limit[1], *(y for _, y in shown)) + 0.03

    def at(point: Point) -> tuple[float, float]:
        x, y = point
        return (
            LEFT + x / right * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM),
        )

    out = [f'<text class="title" x="{LEFT}" y="22">{escape(curve.title)}</text>']
    for tick in range(round(low * 20) + 1, int(high * 20) + 1):
        _, y = at((0, tick / 20))
        if TOP < y < HEIGHT - BOTTOM:
            out.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
            out.append(f'<text class="soft" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick / 20:.2f}</text>')
    step = next(step for step in (1, 2, 5, 10, 20) if right / step <= 12)
    for tick in range(0, int(right) + 1, step):
        x, _ = at((tick, 0))
        out.append(f'<text class="soft" x="{x:.1f}" y="{HEIGHT - 28}" text-anchor="middle">{tick}</text>')
    out.append(f'<text class="soft" x="{WIDTH - RIGHT}" y="{HEIGHT - 10}" text-anchor="end">{escape(x_name)}</text>')
    out.append(f'<text class="soft" x="{LEFT}" y="36">{escape(y_name)}</text>')
    name, limit = curve.limit
    _, y = at((0, limit))
    out.append(f'<path class="limit" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
    out.append(f'<text class="soft" x="{WIDTH - RIGHT}" y="{y - 4:.1f}" text-anchor="end">{escape(name)}</text>')
    path = " L".join(f"{x:.1f} {y:.1f}" for x, y in map(at, line))
    out.append(f'<path class="line" d="M{path}"/>')
    out.extend(f'<circle class="best" cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in map(at, line))
    for name, (kind, point) in sorted(curve.points.items(), key=lambda item: item[1][0] == "chosen"):
        x, y = at(point)
        told = escape(f"{name}: {point[1]:.3f} at {point[0]:.2f}")
        out.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{5 if kind == "chosen" else 4}">')
        out.append(f"<title>{told}</title></circle>")
        if kind == "chosen":
            out.append(f'<text class="named" x="{x + 8:.1f}" y="{y - 6:.1f}">{escape(name)}</text>')
    return "\n".join(out)
