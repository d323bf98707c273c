"""Take out what says the same as a better candidate in nearly the same words."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveInt

from tamis.parts.numbers import ShareAboveZero
from tamis.parts.part import part
from tamis.pool.shingles import HOLDERS, repeats
from tamis.stage.base import Selection
from tamis.values.calls import Plan
from tamis.values.ranking import Notice, Ranking, Why


@part
class NearDuplicates(Selection):
    """Drop a candidate (`duplicate`) whose text shares at least `similarity` of its runs of `words` words with one kept
    before it.

    The share is Jaccard's: common runs / runs of both together. 1.0 takes out only the same words in the same order. A
    text without words is not a duplicate. `Deduplicate` is for equal texts and equal ids. A run that more than 1,000
    kept candidates have leads to the first 1,000 of them; a notice names candidates that so were not compared with all.
    Source: shingles (Broder, 1997).

    >>> texts = ["the cat sat on the mat today", "The cat sat on the mat, today!", "a dog"]
    >>> NearDuplicates().rerank("q", texts).positions
    (0, 2)
    """

    similarity: ShareAboveZero = 0.8
    words: PositiveInt = 3

    drops: ClassVar[tuple[Why, ...]] = ("duplicate",)

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        found = repeats([ranked.candidate.text for ranked in ranking.kept], self.words, self.similarity)
        repeated = found.repeated.tolist()
        left = ranking.drop("duplicate", lambda index, ranked: repeated[index])
        unsure = [r.position for r, some in zip(ranking.kept, found.unsure.tolist(), strict=True) if some]
        if not unsure:
            return left
        said = f"NearDuplicates: {len(unsure):,} candidates share words with over {HOLDERS:,} kept ones and were "
        return left.warn(Notice(f"{said}compared with the first of these only", tuple(unsure), degraded=False))
