"""Score candidates by vectors that were refined by one another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tamis.graph.graph import uncompared
from tamis.graph.methods.expansion import Rocchio
from tamis.graph.methods.refiner import RefinerRef
from tamis.parts.options import refuse
from tamis.parts.part import part
from tamis.pool.pool import Pool, unit_rows
from tamis.pool.sparse import Floats
from tamis.stage.scoring import Given, Limit, Scored, Scoring
from tamis.stage.vectors import vectors
from tamis.values.answers import Failure
from tamis.values.calls import Asking
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Ranked, Ranking
from tamis.values.scale import Scale, rescale

UNUSABLE = Failure("malformed", "its vector or the query's is zero, not finite, or of another length")


@part
class Refinement(Scoring):
    """Sort by embeddings of query and candidates, refined among the candidates themselves.

    `method`: `Rocchio` (the best so far refine the query), `Smoothing` (neighbours for each other), `AlphaQE` or
    `SuperGlobal` (both made for images; with text embeddings we found them no better than the plain cosine). One
    `embed` call per text, all in one round, of `model`; without a model query and candidates must bring their vectors.
    `given_vectors`: embed only those that bring none. A candidate without a vector is not judged. Scale: the method's,
    `cosine` but for `SuperGlobal`.

    >>> from tamis import Query
    >>> near = [{"text": "a", "vector": (0.8, 0.6)}, {"text": "b", "vector": (0.78, -0.6258)}]
    >>> near.append({"text": "c", "vector": (0.77, -0.638)})
    >>> Refinement(method="alpha_qe").rerank(Query("q", vector=(1.0, 0.0)), near).positions
    (1, 2, 0)
    """

    model: ModelRef = None
    method: RefinerRef = Rocchio()
    depth: Limit = None
    given_vectors: bool = False

    def __post_init__(self) -> None:
        if self.model is not None:
            require(self.model, "embed", "Refinement")
        elif self.given_vectors:
            refuse(self, ["given_vectors"], "without a model: there are no other vectors", "give a model")

    @property
    def scale(self) -> Scale:
        return self.method.scale

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Scored]:
        query, found = yield from vectors(self.model, ranking.query, head, self.given_vectors)
        failures = [query if isinstance(query, Failure) else v if isinstance(v, Failure) else None for v in found]
        rows = unit_rows([None if isinstance(v, Failure) else v for v in (query, *found)])
        usable = rows[1:].any(axis=1) & rows[0].any()
        failures = [f or (None if good else UNUSABLE) for f, good in zip(failures, usable.tolist(), strict=True)]
        judged = [place for place, failure in enumerate(failures) if failure is None]
        scores: list[Given] = list(failures)
        if judged:
            pool = Pool(ranking.query, [head[place].candidate for place in judged], rows[1:][judged])
            new = self.method.scores(rows[0], rows[1:][judged], so_far(ranking, head)[judged], pool)
            for place, score in zip(judged, new.tolist(), strict=True):
                scores[place] = score
        return Scored(scores, notices=uncompared("Refinement", [head[p] for p in judged], self.method.compares))


def so_far(ranking: Ranking, head: Sequence[Ranked]) -> Floats:
    """The scores of `head` in 0..1, 0 for none; by rank where they say nothing."""
    scores = [ranked.score for ranked in head]
    known = [score for score in scores if score is not None]
    if not known or ranking.scale.kind == "ordinal":
        return 1.0 - np.arange(len(head)) / len(head)
    return np.array([score or 0.0 for score in rescale(scores, min(known), max(known))])
