"""Score each candidate by the similarity of embeddings."""

from __future__ import annotations

from tamis.parts.part import part
from tamis.stage.base import Stage
from tamis.stage.scoring import Depth, failure_notices, rescored
from tamis.stage.vectors import cosines
from tamis.values.calls import Plan
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Ranking
from tamis.values.scale import COSINE


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
