"""The picture of one ranking: an HTML fragment without scripts, for a notebook or a report page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from typing import Any, TypeVar

from tamis.values.ranking import Dropped, Neighbour, Ranked, Ranking
from tamis.values.usage import Usage
from tamis.view.lifts import FIRST, drawing
from tamis.view.snippets import query_terms, snippet, whole
from tamis.view.wording import MINUS, WHY, large, number, safe, scale_words

__all__ = ["MINUS", "WHY", "fragment", "large", "number", "safe", "scale_words", "stylesheet"]

T = TypeVar("T")
LIFTERS = 3
"""How many neighbours of a passage are named."""


def fragment(
    ranking: Ranking,
    *,
    grades: Mapping[Any, float] | None = None,
    relevant_from: float = 1,
    came_in: Mapping[int, int | None] | None = None,
    unfolded: int = 10,
    limit: int | None = None,
    style: bool = True,
) -> str:
    """An HTML fragment that shows what was kept, where it came in, why it scored as it did, and what was dropped.

    `grades` are judgements by candidate id, relevant from `relevant_from` on. `came_in` gives, by position, the place
    (from 1) to measure movement from, `None` for a newcomer; without it that is the place in the input. The first
    `unfolded` rows are open, the rest is folded. With `limit`, only that many kept candidates (and that many dropped
    for each reason) are in the fragment at all, besides the relevant ones. Without `style` the fragment has no style
    sheet of its own: the page around it must bring `stylesheet()`. All text from outside is escaped.

    >>> "<b>" in fragment(Ranking.of("tall", ["<b>Everest</b>"]))
    False
    """
    view = _View(ranking, grades or {}, relevant_from, came_in)
    placed: Sequence[tuple[int, Ranked]] = list(enumerate(ranking.kept, 1))
    kept = list(_shown(placed, limit, [view.relevant(ranked) for ranked in ranking.kept]))
    parts = [
        f"<style>{stylesheet()}</style>" if style else "",
        '<div class="tamis-ranking">',
        _head(ranking),
        view.table(kept[:unfolded]),
        view.rest(kept[unfolded:]),
        view.lifts(),
        *_dropped(ranking.dropped, view, limit),
        _footer(ranking.usage),
        "</div>",
    ]
    return "".join(parts)


def stylesheet() -> str:
    """The rules for fragments, all under the class `tamis-ranking`."""
    return files("tamis.view").joinpath("picture.css").read_text(encoding="utf-8")


class _View:
    """What every row needs to know of the whole."""

    def __init__(
        self,
        ranking: Ranking,
        grades: Mapping[Any, float],
        relevant_from: float,
        came_in: Mapping[int, int | None] | None,
    ) -> None:
        everything = [*ranking.kept, *(dropped.ranked for dropped in ranking.dropped)]
        self.kept = ranking.kept
        self.at = {ranked.position: ranked for ranked in everything}
        self.grades = grades
        self.relevant_from = relevant_from
        self.came_in = came_in
        self.reach: dict[str, float] = {}
        for ranked in everything:
            for name, value in ranked.criteria.items():
                self.reach[name] = max(self.reach.get(name, 0.0), value or 0.0)
        self.wanted = query_terms(ranking.query.text)
        self.scored = any(ranked.score is not None for ranked in everything)

    def grade(self, ranked: Ranked) -> float | None:
        return self.grades.get(ranked.candidate.id)

    def relevant(self, ranked: Ranked) -> bool:
        grade = self.grade(ranked)
        return grade is not None and grade >= self.relevant_from

    def place(self, ranked: Ranked) -> int | None:
        return ranked.position + 1 if self.came_in is None else self.came_in.get(ranked.position)

    def table(self, rows: Sequence[tuple[int, Ranked] | int]) -> str:
        if not rows:
            return ""
        return self._table(["#", "came in"], (row if isinstance(row, int) else self.row(*row) for row in rows))

    def rest(self, rows: Sequence[tuple[int, Ranked] | int]) -> str:
        """Folded, unless nothing of it is in the fragment."""
        left_out = sum(row for row in rows if isinstance(row, int))
        more = f"{_size(rows):,} more"
        if left_out == _size(rows):
            return f'<p class="facts">{more}, not in this picture</p>' if rows else ""
        return _folded(more, self.table(rows))

    def lines(self, rows: Iterable[Ranked | int]) -> str:
        return self._table(["came in"], (row if isinstance(row, int) else self.line(row) for row in rows))

    def _table(self, heads: list[str], rows: Iterable[str | int]) -> str:
        heads = [*heads, "score"] if self.scored else heads
        head = "".join(f'<th class="number">{name}</th>' for name in heads)
        gap = '<tr><td class="muted" colspan="{}">{:,} more, not in this picture</td></tr>'
        body = "".join(gap.format(len(heads) + 1, row) if isinstance(row, int) else row for row in rows)
        return f"<table><thead><tr>{head}<th>passage</th></tr></thead><tbody>{body}</tbody></table>"

    def row(self, place: int, ranked: Ranked) -> str:
        cells = [
            f'<td class="number place">{place}</td>',
            f'<td class="number">{self.movement(place, ranked)}</td>',
            f'<td class="number">{number(ranked.score)}</td>' if self.scored else "",
            f'<td class="candidate">{self.candidate(ranked)}</td>',
        ]
        return f"<tr>{''.join(cells)}</tr>"

    def movement(self, place: int, ranked: Ranked) -> str:
        before = self.place(ranked)
        if before is None:
            return '<span class="up">new</span>'
        if before == place:
            return f"{before} <span class='muted' title='same place'>=</span>"
        up = before > place
        arrow, word = ("▲", "up") if up else ("▼", "down")
        steps = abs(before - place)
        return f'{before} <span class="{word}" title="{steps} {word}">{arrow}{steps}</span>'

    def candidate(self, ranked: Ranked) -> str:
        candidate = ranked.candidate
        text = candidate.text
        title = candidate.title if candidate.title and not text.startswith(candidate.title) else None
        parts = [
            f'<bdi class="title">{safe(title, 160)}</bdi> ' if title else "",
            f'<bdi class="id">{safe(candidate.id, 80)}</bdi> ' if candidate.id is not None else "",
            self.badge(ranked),
            self.text(text),
            f'<div class="reason"><bdi>{safe(ranked.reason, 800)}</bdi></div>' if ranked.reason else "",
            self.criteria(ranked.criteria),
            self.lifted(ranked),
        ]
        return "".join(parts)

    def text(self, text: str, length: int = 280) -> str:
        """What the passage says of the query; a click on it shows all of the text."""
        shown, complete = snippet(text, self.wanted, length)
        if complete:
            return f'<div><bdi class="text">{shown}</bdi></div>'
        summary = f'<bdi class="text">{shown}</bdi> <span class="more"></span>'
        full = f'<bdi class="text">{whole(text, self.wanted)}</bdi>'
        return f'<details class="whole"><summary>{summary}</summary>{full}</details>'

    def badge(self, ranked: Ranked) -> str:
        grade = self.grade(ranked)
        if grade is None:
            return ""
        if self.relevant(ranked):
            return f'<span class="grade relevant">relevant, grade {grade}</span>'
        return f'<span class="grade">not relevant, grade {grade}</span>'

    def criteria(self, scores: Mapping[str, float | None]) -> str:
        if not scores:
            return ""
        bars = []
        for name, value in scores.items():
            reach = self.reach.get(name) or 1.0
            width = 0 if value is None else round(100 * min(1.0, max(0.0, value / reach)))
            bars.append(
                f'<span class="criterion" title="longest bar: the best of this ranking">{safe(name, 60)} '
                f'<span class="track"><span style="width:{width}%"></span></span> {number(value)}</span>'
            )
        return f'<div class="criteria">{" ".join(bars)}</div>'

    def lifted(self, ranked: Ranked) -> str:
        known = [neighbour for neighbour in ranked.lifted_by if neighbour.position in self.at]
        if not known:
            return ""
        names = ", ".join(self.lifter(neighbour) for neighbour in known[:LIFTERS])
        more = f" and {len(known) - LIFTERS} more" if len(known) > LIFTERS else ""
        return f'<div class="lifted">lifted by: {names}{more}</div>'

    def lifter(self, neighbour: Neighbour) -> str:
        candidate = self.at[neighbour.position].candidate
        called = " ".join((candidate.title or candidate.text).split()) or candidate.id
        channel = f" ({safe(neighbour.channel, 40)})" if neighbour.channel else ""
        return f'<span title="weight {number(neighbour.weight)}"><bdi>{safe(called, 60)}</bdi>{channel}</span>'

    def lifts(self) -> str:
        drawn = drawing(self.kept, self.at, self.relevant)
        return _folded(f"Who lifted whom: the first {FIRST}", drawn, shown=True) if drawn else ""

    def line(self, ranked: Ranked) -> str:
        candidate = ranked.candidate
        before = self.place(ranked)
        parts = [
            f"<td class='number'>{before or 'new'}</td>",
            f"<td class='number'>{number(ranked.score)}</td>" if self.scored else "",
            "<td class='candidate'>",
            f'<bdi class="id">{safe(candidate.id, 80)}</bdi> ' if candidate.id is not None else "",
            self.badge(ranked),
            self.text(candidate.full_text, 110),
            self.criteria(ranked.criteria),
            "</td>",
        ]
        return f"<tr>{''.join(parts)}</tr>"


def _head(ranking: Ranking) -> str:
    query = ranking.query
    total = len(ranking.kept) + len(ranking.dropped)
    facts = f"kept {len(ranking.kept)} of {total} · scores: {scale_words(ranking.scale)}"
    parts = [f'<p class="query"><bdi>{safe(query.text, 2000)}</bdi></p>']
    if query.instruction:
        parts.append(f'<p class="muted">instruction: <bdi>{safe(query.instruction, 1000)}</bdi></p>')
    parts.append(f'<p class="facts">{facts}</p>')
    if ranking.abstained:
        parts.append('<p class="notice"><b>Abstained:</b> nothing was good enough to be kept.</p>')
    for notice in ranking.warnings:
        about = f" ({_count(len(notice.positions), 'passage')})" if notice.positions else ""
        name = "notice" if notice.degraded else "notice mild"
        parts.append(f'<p class="{name}"><bdi>{safe(notice.message, 600)}</bdi>{about}</p>')
    return "".join(parts)


def _dropped(dropped: Sequence[Dropped], view: _View, limit: int | None) -> Iterator[str]:
    for why, group in groupby(sorted(dropped, key=lambda item: item.why), key=lambda item: item.why):
        members = [item.ranked for item in group]
        relevant = [view.relevant(ranked) for ranked in members]
        lost = f", {sum(relevant)} of them relevant" if any(relevant) else ""
        table = view.lines(_shown(members, limit, relevant))
        yield _folded(f"{len(members):,} dropped: {safe(WHY.get(why, why))}{lost}", table)


def _footer(usage: Usage) -> str:
    left_out = f" ({_count(usage.unmetered, 'call')} of unknown size left out)" if usage.unmetered else ""
    parts = [
        _count(usage.calls, "model call") if usage.calls else "no model calls",
        f"{usage.cached:,} answered by the cache" if usage.cached else "",
        _count(usage.retries, "retry", "retries") if usage.retries else "",
        f"{usage.failed:,} failed" if usage.failed else "",
        f"{usage.tokens_in:,} tokens in, {usage.tokens_out:,} out" if usage.tokens else "",
        _count(usage.search_units, "search unit") if usage.search_units else "",
        f"{large(usage.flops)} FLOPs{left_out}" if usage.flops else "",
        f"{number(usage.seconds)} s" if usage.seconds else "",
    ]
    return f'<p class="facts footer">{" · ".join(part for part in parts if part)}</p>'


def _shown(items: Sequence[T], limit: int | None, important: Sequence[bool]) -> Iterator[T | int]:
    """The first `limit` items and the important ones; in place of what is left out, how many they are."""
    left_out = 0
    for index, item in enumerate(items):
        if limit is None or index < limit or important[index]:
            if left_out:
                yield left_out
                left_out = 0
            yield item
        else:
            left_out += 1
    if left_out:
        yield left_out


def _size(rows: Iterable[object]) -> int:
    return sum(row if isinstance(row, int) else 1 for row in rows)


def _folded(summary: str, body: str, *, shown: bool = False) -> str:
    return f"<details{' open' if shown else ''}><summary>{summary}</summary>{body}</details>"


def _count(count: int, noun: str, plural: str | None = None) -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
