"""In which order the generator should read what was kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from tamis.criteria.dates import moment
from tamis.criteria.fields import lookup, unreadable
from tamis.parts.options import refuse
from tamis.parts.part import part
from tamis.stage.base import Selection
from tamis.values.calls import Plan
from tamis.values.ranking import Notice, Ranked, Ranking, Why


@part
class Place(Selection):
    """Reorder for reading; nothing is dropped and scores stay, so that this belongs at the end of a pipeline.

    `ends`: the best first, the second best last, and so on inwards, as readers of long contexts attend to both ends
    (Liu et al., 2023). `oldest_first`, `newest_first`: by the date in the metadata under `field` (default `date`);
    candidates without one follow, best first. `by_source`: candidates with the same `field` (default `source`)
    together, groups in the order of their best; one without a source is a group of its own.

    >>> Place("ends").rerank("q", ["1", "2", "3", "4", "5"]).positions
    (0, 2, 4, 3, 1)
    """

    order: Literal["ends", "oldest_first", "newest_first", "by_source"] = "ends"
    field: str | None = None

    def __post_init__(self) -> None:
        if self.order == "ends" and self.field is not None:
            refuse(self, ["field"], "with order='ends', which reads no metadata", "take another order")

    drops: ClassVar[tuple[Why, ...]] = ()

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        return ranking.reorder(self._order(ranking.kept)).warn(*self._unread(ranking.kept))

    def _unread(self, kept: Sequence[Ranked]) -> list[Notice]:
        if self.order == "ends":
            return []
        if self.order == "by_source":
            return unreadable(kept, self.field or "source", lambda value: True, "sources")
        dated = self.field or "date"
        return unreadable(kept, dated, lambda value: moment(value) is not None, "dates", "write them year first")

    def _order(self, kept: Sequence[Ranked]) -> list[int]:
        n = len(kept)
        if self.order == "ends":
            return [*range(0, n, 2), *reversed(range(1, n, 2))]
        if self.order == "by_source":
            first: dict[str, int] = {}
            group = [first.setdefault(_key(ranked, self.field or "source", i), i) for i, ranked in enumerate(kept)]
            return sorted(range(n), key=lambda i: group[i])
        found = ((i, moment(lookup(ranked.candidate.metadata, self.field or "date"))) for i, ranked in enumerate(kept))
        dates = {i: date for i, date in found if date is not None}
        known = sorted(dates, key=lambda i: dates[i], reverse=self.order == "newest_first")
        return known + [i for i in range(n) if i not in dates]


def _key(ranked: Ranked, field: str, index: int) -> str:
    source = lookup(ranked.candidate.metadata, field)
    return f"#{index}" if source is None else f"={source}"
