"""Which passage lifted which in a ranking, drawn: a line for each passage and an arrow from what lifted it, without
scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tamis.values.ranking import Neighbour, Ranked
from tamis.view.wording import number, safe

FIRST = 10
"""For how many of the first passages the arrows are drawn."""
LINES = 24
"""Most passages shown: those with the strongest arrows."""
HEIGHT, WIDTH = 24, 108
"""Of a line and of the arrows beside them, in pixels."""
EDGE = WIDTH - 8
"""Where the passages' dots are."""
DASHES = ("none", "1.5 4", "7 4", "9 3 1.5 3")


@dataclass(frozen=True, slots=True)
class Arrow:
    """From the passage at position `start` in the input to the one at `end`, which it lifted."""

    start: int
    end: int
    weight: float
    channel: str


def drawing(kept: Sequence[Ranked], at: Mapping[int, Ranked], relevant: Callable[[Ranked], bool]) -> str:
    """The arrows to the first of `kept`, "" where nothing lifted them. `at`: all passages by position in the input."""
    arrows = _arrows(kept, at)
    if not arrows:
        return ""
    places = {ranked.position: place for place, ranked in enumerate(kept, 1)}
    there = {position for arrow in arrows for position in (arrow.start, arrow.end)}
    order = sorted(there, key=lambda position: (places.get(position, len(at) + 1), position))
    lines = [(places.get(position), at[position], relevant(at[position])) for position in order]
    channels = [channel for channel in dict.fromkeys(arrow.channel for arrow in arrows) if channel]
    told = "An arrow leads from a passage to one that it lifted; the thicker, the more."
    parts = [
        '<div class="lifts">',
        _svg(arrows, {position: line for line, position in enumerate(order)}, at, lines, channels),
        f"<div>{''.join(_line(*line) for line in lines)}</div></div>",
        f'<p class="facts">{told} {" ".join(_key(channel, channels) for channel in channels)}</p>',
    ]
    return "".join(parts)


def _arrows(kept: Sequence[Ranked], at: Mapping[int, Ranked]) -> list[Arrow]:
    """The strongest ones, as long as the passages they join fit."""

    def arrow(ranked: Ranked, neighbour: Neighbour) -> Arrow:
        return Arrow(neighbour.position, ranked.position, neighbour.weight, neighbour.channel)

    found = [arrow(ranked, n) for ranked in kept[:FIRST] for n in ranked.lifted_by if n.position in at]
    chosen, there = [], set[int]()
    for one in sorted(found, key=lambda arrow: -arrow.weight):
        if len(there | {one.start, one.end}) <= LINES:
            there |= {one.start, one.end}
            chosen.append(one)
    return chosen


def _svg(
    arrows: Sequence[Arrow],
    line: Mapping[int, int],
    at: Mapping[int, Ranked],
    lines: Sequence[tuple[int | None, Ranked, bool]],
    channels: Sequence[str],
) -> str:
    longest = max(abs(line[arrow.start] - line[arrow.end]) for arrow in arrows)
    heaviest = max(arrow.weight for arrow in arrows) or 1.0
    drawn = []
    # Those to relevant passages last, on top of the others.
    for arrow in sorted(arrows, key=lambda arrow: lines[line[arrow.end]][2]):
        start, end = (HEIGHT * line[position] + HEIGHT / 2 for position in (arrow.start, arrow.end))
        # A Bezier curve reaches three quarters of the way to its control points.
        reach = (14 + (EDGE - 20) * abs(start - end) / HEIGHT / longest - 14 / longest) / 0.75
        curve = f"M{EDGE} {start:g}C{EDGE - reach:.0f} {start:g} {EDGE - reach:.0f} {end:g} {EDGE - 6} {end:g}"
        who, whom = (_called(at[position], 60) for position in (arrow.start, arrow.end))
        channel = f" ({safe(arrow.channel, 40)})" if arrow.channel else ""
        name = "arrow relevant" if lines[line[arrow.end]][2] else "arrow"
        width = 1.3 + 2 * max(0.0, arrow.weight) / heaviest
        drawn.append(
            f'<g class="{name}"><title>{who} lifted {whom} by {number(arrow.weight)}{channel}</title>'
            f'<path d="{curve}" stroke-width="{width:.1f}" stroke-dasharray="{_dash(arrow.channel, channels)}"/>'
            f'<path class="head" d="M{EDGE - 13} {end - 4.5:g}l9 4.5l-9 4.5z"/></g>'
        )
    for place, (_, _, good) in enumerate(lines):
        name = ' class="relevant"' if good else ""
        drawn.append(f'<circle{name} cx="{EDGE}" cy="{HEIGHT * place + HEIGHT / 2:g}" r="{4.5 if good else 3.5}"/>')
    return f'<svg width="{WIDTH}" height="{HEIGHT * len(lines)}" aria-hidden="true">{"".join(drawn)}</svg>'


def _line(place: int | None, ranked: Ranked, good: bool) -> str:
    name = "line relevant" if good else "line"
    return f'<div class="{name}"><span class="muted">{place or "out"}</span> <bdi>{_called(ranked, 120)}</bdi></div>'


def _key(channel: str, channels: Sequence[str]) -> str:
    sample = f'<path d="M0 5h26" stroke-width="1.6" stroke-dasharray="{_dash(channel, channels)}"/>'
    return (
        f'<span class="key"><svg width="26" height="10"><g class="arrow">{sample}</g></svg> {safe(channel, 40)}</span>'
    )


def _dash(channel: str, channels: Sequence[str]) -> str:
    return DASHES[channels.index(channel) % len(DASHES)] if channel in channels else DASHES[0]


def _called(ranked: Ranked, length: int) -> str:
    """The title, or where the text begins, or the id; as HTML."""
    candidate = ranked.candidate
    return safe(" ".join((candidate.title or candidate.text).split()) or candidate.id, length)
