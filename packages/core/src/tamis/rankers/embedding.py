"""Score each candidate by the similarity of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tamis.parts.part import part
from tamis.stage.scoring import Given, Limit, Scoring
from tamis.stage.vectors import cosines
from tamis.values.calls import Asking
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Ranked, Ranking
from tamis.values.scale import COSINE, Scale


@part
class Embedding(Scoring):
    """Sort by the cosine of query and candidate embeddings. One `embed` call per text, all in one round.

    `given_vectors`: use vectors the query and candidates bring along instead of embedding them again; they must all
    come from `model`. Scale: `cosine`.

    >>> from tamis.models import Function
    >>> letters = Function(lambda call: [call.text.count(c) for c in "abcdefghijklmnopqrstuvwxyz"], "embed")
    >>> Embedding(letters).rerank("tall", ["zoo", "all"]).positions
    (1, 0)
    """

    model: ModelRef
    depth: Limit = None
    given_vectors: bool = False

    scale: ClassVar[Scale] = COSINE

    def __post_init__(self) -> None:
        require(self.model, "embed", "Embedding")

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        return cosines(self.model, ranking.query, head, self.given_vectors)
