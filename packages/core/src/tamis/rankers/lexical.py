"""Score each candidate by the query's words in it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import NonNegativeInt

from tamis.parts.numbers import NonNegative, Share
from tamis.parts.part import part
from tamis.stage.scoring import Given, Limit, Scoring
from tamis.text.terms import terms
from tamis.values.calls import Asking
from tamis.values.ranking import Ranked, Ranking
from tamis.values.scale import LEXICAL, Scale


@part
class CorpusStatistics:
    """What BM25 knows of a collection: documents, mean length in terms, and in how many documents each term occurs."""

    documents: NonNegativeInt
    mean_length: NonNegative
    frequencies: Mapping[str, NonNegativeInt]

    @classmethod
    def of(cls, documents: Sequence[Sequence[str]]) -> CorpusStatistics:
        """From documents given as lists of `tamis.text.terms.terms`."""
        frequencies = Counter(term for document in documents for term in set(document))
        mean = sum(map(len, documents)) / max(1, len(documents))
        return cls(len(documents), mean, frequencies)

    def idf(self, term: str) -> float:
        """ln(1 + (N - df + .5) / (df + .5)), never negative."""
        df = min(self.frequencies.get(term, 0), self.documents)
        return math.log(1 + (self.documents - df + 0.5) / (df + 0.5))


@part
class Lexical(Scoring):
    """Sort by BM25, without any model. Statistics come from the candidates themselves unless `statistics` are given.

    `rarity`: what tells a rare word from a common one where no `statistics` are given. A pool alone tells little: each
    of its passages was found for the query's rare words. `"english"` adds how rare a word is in English at large, as
    the packaged vocabulary has it; a word that it does not hold is rare. `"pool"` is the pool alone.
    Scale: `lexical` (>= 0, comparable within a query). Source: Robertson and Zaragoza, 2009; defaults of Anserini.

    >>> Lexical().rerank("tall mountains", ["a recipe", "the tallest mountain", "a tall mountain"]).positions
    (2, 1, 0)
    """

    k1: NonNegative = 0.9
    b: Share = 0.4
    depth: Limit = None
    statistics: CorpusStatistics | None = None
    rarity: Literal["english", "pool"] = "english"

    scale: ClassVar[Scale] = LEXICAL

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        yield from ()
        return self.bm25(terms(ranking.query.text), [terms(ranked.candidate.full_text) for ranked in head])

    def bm25(self, query: Sequence[str], documents: Sequence[Sequence[str]]) -> list[float]:
        """BM25 of each document, both sides as lists of terms."""
        statistics = self.statistics or CorpusStatistics.of(documents)
        weights = {term: count * statistics.idf(term) for term, count in Counter(query).items()}
        if self.statistics is None and self.rarity == "english":
            weights = _in_english(weights, Counter(query), statistics)
        mean = statistics.mean_length or 1.0
        return [self._score(weights, document, len(document) / mean) for document in documents]

    def _score(self, weights: Mapping[str, float], document: Sequence[str], relative_length: float) -> float:
        counts = Counter(term for term in document if term in weights)
        damping = self.k1 * (1 - self.b + self.b * relative_length)
        return sum(weights[term] * tf * (self.k1 + 1) / (tf + damping) for term, tf in counts.items())


def _in_english(
    weights: Mapping[str, float], counts: Mapping[str, int], statistics: CorpusStatistics
) -> dict[str, float]:
    """Weights by the pool's statistics, with those of English at large."""
    import numpy as np

    from tamis.text.vectors import packaged, worth

    most = statistics.idf("")
    in_pool = np.array([weight / counts[term] / most for term, weight in weights.items()])
    both = worth(in_pool, packaged().rarity(list(weights))) * most
    return {term: counts[term] * weight for term, weight in zip(weights, both.tolist(), strict=True)}
