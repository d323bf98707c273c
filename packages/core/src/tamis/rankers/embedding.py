"""Score each candidate by the similarity of embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tamis.calls import Embed, Failure, Plan
from tamis.models.base import require
from tamis.part import part
from tamis.rankers.scoring import Depth, failure_notices, rescored
from tamis.ranking import Query, Ranked, Ranking
from tamis.references import ModelRef
from tamis.scale import COSINE
from tamis.stage import Asking, Stage


@part
class Embedding(Stage):
    """Sort by the cosine of query and candidate embeddings. One `embed` call a text, all in one round.

    `given_vectors`: use vectors the query and candidates bring along instead of embedding them again; they must all
    come from `model`. Scale: `cosine`.

    >>> from tamis.models import Function
    >>> letters = Function(lambda call: [call.text.count(c) for c in "abcdefghijklmnopqrstuvwxyz"], "embed")
    >>> Embedding(letters).rerank("tall", ["zoo", "all"]).positions
    (1, 0)
    """

    model: ModelRef
    depth: Depth = None
    given_vectors: bool = False

    def __post_init__(self) -> None:
        require(self.model, "embed", "Embedding")

    def plan(self, ranking: Ranking) -> Plan:
        head = ranking.kept[: self.depth]
        if not head:
            return ranking
        scores, failures = yield from cosines(self.model, ranking.query, head, self.given_vectors)
        return rescored(ranking, scores, COSINE).warn(*failure_notices("Embedding", head, failures))


def cosines(
    model: Any, query: Query, head: Sequence[Ranked], given_vectors: bool = False, ending: str = ""
) -> Asking[tuple[list[float | None], list[Failure | None]]]:
    """Of the query with each candidate, and why there is none where there is none; all texts in one round.

    `given_vectors`: embed only those that bring no vector. `ending` stands behind each candidate's text.
    """
    vectors: list[Any] = [query.vector, *(ranked.candidate.vector for ranked in head)]
    calls = [
        Embed(model, query.text, "query"),
        *(Embed(model, ranked.candidate.full_text + ending) for ranked in head),
    ]
    wanted = [index for index in range(len(calls)) if not given_vectors or vectors[index] is None]
    answers = yield [calls[index] for index in wanted]
    for index, answer in zip(wanted, answers, strict=True):
        vectors[index] = answer if isinstance(answer, Failure) else answer.values
    compared = [compare(vectors[0], vector) for vector in vectors[1:]]
    failures = [score if isinstance(score, Failure) else None for score in compared]
    return [None if isinstance(score, Failure) else score for score in compared], failures


def compare(query: Sequence[float] | Failure, passage: Sequence[float] | Failure) -> float | Failure:
    """Cosine of two embeddings, or why there is none."""
    if isinstance(query, Failure):
        return query
    if isinstance(passage, Failure):
        return passage
    if len(query) != len(passage):
        return Failure("malformed", f"a vector of {len(passage)} numbers for a query of {len(query)}")
    score = cosine(query, passage)
    return score if math.isfinite(score) else Failure("malformed", "the vectors held no usable numbers")


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """Cosine of two vectors of the same length; 0 when one is all zeros, NaN where their numbers overflow."""
    import numpy as np

    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    with np.errstate(all="ignore"):
        norm = math.sqrt(float(left @ left) * float(right @ right))
        return float(left @ right) / norm if norm else 0.0
