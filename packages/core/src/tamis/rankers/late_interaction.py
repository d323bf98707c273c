"""Score each candidate by how well its tokens answer each token of the query."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tamis.parts.part import part
from tamis.stage.scoring import Given, Limit, Scoring
from tamis.values.answers import Failure
from tamis.values.calls import Asking, EmbedTokens
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Ranked, Ranking
from tamis.values.scale import COSINE, Scale

TOKENS_AT_ONCE = 16_384
"""Passage tokens compared in one matrix product: enough to be fast, little enough to stay in memory."""


@part
class LateInteraction(Scoring):
    """Sort by MaxSim: each query token looks for its most similar passage token. One `embed_tokens` call per text, all
    in one round. What passages give does not depend on the query, and an engine keeps it (`Engine(vectors=...)`).

    The score is the mean over query tokens of the best cosine (the paper's sum, divided by how many they are, which
    changes no order), so it compares across queries. Scale: `cosine`. Source: Khattab and Zaharia, 2020 (ColBERT).

    >>> from tamis.models import Function
    >>> axes = {"tall": [1.0, 0.0, 0.0], "high": [0.8, 0.6, 0.0], "soup": [0.0, 0.0, 1.0]}
    >>> words = Function(lambda call: [axes[word] for word in call.text.split()], "embed_tokens")
    >>> ranking = LateInteraction(words).rerank("tall", ["soup", "soup high"])
    >>> [(ranked.position, round(ranked.score, 2)) for ranked in ranking.kept]
    [(1, 0.8), (0, 0.0)]
    """

    model: ModelRef
    depth: Limit = None

    scale: ClassVar[Scale] = COSINE

    def __post_init__(self) -> None:
        require(self.model, "embed_tokens", "LateInteraction")

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        query, *passages = yield [
            EmbedTokens(self.model, ranking.query.text, "query"),
            *(EmbedTokens(self.model, ranked.candidate.full_text) for ranked in head),
        ]
        return compare(query, passages)


def compare(query: Any, passages: Sequence[Any]) -> list[float | Failure]:
    """The score of each passage, or why there is none. Takes answers to `EmbedTokens`."""
    if isinstance(query, Failure):
        return [query] * len(passages)
    if not _usable(query.values):
        return [Failure("malformed", "the query has no token vectors")] * len(passages)
    results: list[float | Failure] = [_flaw(query.values, passage) or math.nan for passage in passages]
    sound = [place for place, result in enumerate(results) if not isinstance(result, Failure)]
    scores = max_sim(query.values, [passages[place].values for place in sound]) / len(query.values)
    for place, score in zip(sound, scores.tolist(), strict=True):
        results[place] = score if math.isfinite(score) else Failure("malformed", "the vectors held no usable numbers")
    return results


def max_sim(query: NDArray[Any], passages: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Sum over query tokens of the largest dot product with a passage token, one number per passage.

    `query`: (tokens, width); each passage: (its tokens, width), at least one token.
    """
    query = np.asarray(query, np.float32)
    sums = [np.zeros(0)]
    for group in _groups(passages):
        tokens = np.concatenate(group).astype(np.float32, copy=False)
        starts = np.cumsum([0, *(len(passage) for passage in group[:-1])])
        with np.errstate(invalid="ignore", over="ignore"):
            best = np.maximum.reduceat(query @ tokens.T, starts, axis=1)
            sums.append(best.sum(axis=0, dtype=np.float64))
    return np.concatenate(sums)


def _groups(passages: Sequence[NDArray[Any]]) -> Iterator[list[NDArray[Any]]]:
    """Passages in order, as many at once as are compared together."""
    group: list[NDArray[Any]] = []
    size = 0
    for passage in passages:
        if group and size + len(passage) > TOKENS_AT_ONCE:
            yield group
            group, size = [], 0
        group.append(passage)
        size += len(passage)
    if group:
        yield group


def _usable(vectors: Any) -> bool:
    return getattr(vectors, "ndim", 0) == 2 and vectors.size > 0


def _flaw(query: NDArray[Any], passage: Any) -> Failure | None:
    """Why a passage cannot be compared; `None` when it can."""
    if isinstance(passage, Failure):
        return passage
    if not _usable(passage.values):
        return Failure("malformed", "the passage has no token vectors")
    if passage.values.shape[1] != query.shape[1]:
        return Failure("malformed", f"vectors of {passage.values.shape[1]} numbers for a query with {query.shape[1]}")
    return None
