"""Labelled scores: what every fit starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tamis.errors import ConfigError
from tamis.select.policies.base import Floats
from tamis.values.ranking import Ranking
from tamis.values.scale import Scale

if TYPE_CHECKING:
    from tamis.evaluate.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Labels:
    """One row a scored candidate of a judged query: its score, whether it is relevant, and the number of its query.
    Rows of a query are together, as ranked."""

    scores: Floats
    relevant: NDArray[np.bool_]
    query: NDArray[np.int64]
    scale: Scale

    @classmethod
    def of(cls, rankings: Mapping[str, Ranking], dataset: Dataset) -> Labels:
        """From rankings by query id. What the qrels do not name counts as irrelevant; queries they do not name are
        left out. `ConfigError` for scores that are ordinal or of several scales."""
        rows = [
            (ranked.score, str(ranked.candidate.id) in relevant, number)
            for number, (query_id, ranking) in enumerate(judged(rankings, dataset).items())
            for relevant in [dataset.relevant(query_id)]
            for ranked in ranking.kept
            if ranked.score is not None
        ]
        scores, relevant, query = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(np.array(scores, float), np.array(relevant, bool), np.array(query, int), one_scale(rankings))

    def lists(self) -> list[tuple[Floats, NDArray[np.bool_]]]:
        """Scores and labels of each query."""
        cuts = np.flatnonzero(np.diff(self.query)) + 1
        return (
            list(zip(np.split(self.scores, cuts), np.split(self.relevant, cuts), strict=True))
            if len(self.query)
            else []
        )

    def at(self, rows: NDArray[np.int64]) -> Labels:
        return replace(self, scores=self.scores[rows], relevant=self.relevant[rows], query=self.query[rows])

    @property
    def queries(self) -> int:
        return len(np.unique(self.query))

    @property
    def counts(self) -> dict[str, int]:
        """As an `Artefact` tells them."""
        return {"queries": self.queries, "pairs": len(self.scores), "relevant": int(self.relevant.sum())}


def judged(rankings: Mapping[str, Ranking], dataset: Dataset) -> dict[str, Ranking]:
    return {query_id: ranking for query_id, ranking in rankings.items() if query_id in dataset.qrels}


def one_scale(rankings: Mapping[str, Ranking]) -> Scale:
    found = {ranking.scale.kind: ranking.scale for ranking in rankings.values() if ranking.kept}
    if len(found) != 1 or "ordinal" in found:
        raise ConfigError(
            f"a fit needs rankings with scores of one scale, got {', '.join(sorted(found)) or 'no candidates'}. "
            "Rank with a stage that scores, and fit before stages that take the scores away."
        )
    return next(iter(found.values()))
