"""Take out what says the same as a better candidate in nearly the same words."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import ClassVar

from pydantic import PositiveInt

from tamis.parts.numbers import ShareAboveZero
from tamis.parts.part import part
from tamis.stage.base import Selection
from tamis.text.terms import terms
from tamis.values.calls import Plan
from tamis.values.ranking import Ranking, Why

Shingle = tuple[str, ...]


@part
class NearDuplicates(Selection):
    """Drop a candidate (`duplicate`) whose text shares at least `similarity` of its runs of `words` words with one kept
    before it.

    The share is Jaccard's: common runs / runs of both together. 1.0 takes out only the same words in the same order. A
    text without words is not a duplicate. `Deduplicate` is for equal texts and equal ids.
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
        holders: dict[Shingle, list[int]] = defaultdict(list)
        sizes: list[int] = []
        repeated: set[int] = set()
        for index, ranked in enumerate(ranking.kept):
            own = shingles(ranked.candidate.text, self.words)
            common = Counter(holder for shingle in own for holder in holders.get(shingle, ()))
            if any(n >= self.similarity * (sizes[holder] + len(own) - n) for holder, n in common.items()):
                repeated.add(index)
                continue
            for shingle in own:
                holders[shingle].append(len(sizes))
            sizes.append(len(own))
        return ranking.drop("duplicate", lambda index, ranked: index in repeated)


def shingles(text: str, words: int) -> set[Shingle]:
    """Every run of `words` words; the whole text where it has fewer."""
    found = terms(text)
    return {tuple(found[start : start + words]) for start in range(max(1, len(found) - words + 1))} if found else set()
