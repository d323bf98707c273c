"""Order for relevance and variety together: no two candidates that say the same at the top."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from tamis.parts.numbers import Share
from tamis.parts.part import part
from tamis.pool.similar import Rows, Similar, TermVectors
from tamis.pool.sparse import Floats
from tamis.pool.variety import MOST, largest_volume, marginal_relevance
from tamis.stage.base import Selection
from tamis.stage.scoring import Limit, failure_notices
from tamis.stage.vectors import vectors
from tamis.values.answers import Failure
from tamis.values.calls import Asking, Plan
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Notice, Ranked, Ranking, Why
from tamis.values.scale import DISTANCES, Kinds

OVERFLOW = 1e150


@part
class Diversify(Selection):
    """Base of stages that pick candidates one by one from the first `depth`; the others stay after them. After 1,000
    picks the rest follows in incoming order, and a notice says so.

    Similarity is the cosine of embeddings by `model` (or `given_vectors` that candidates bring along from it), without
    a model that of words weighted by rarity among the candidates. `trade_off`: 1 looks at relevance only, 0 at variety
    only. Scores stay as they are; cut afterwards with `TopN` or `DynamicK`. What has no score or no vector stays in its
    place. Refuses `ordinal` scores.
    """

    trade_off: Share = 0.7
    model: ModelRef = None
    depth: Limit = 100
    given_vectors: bool = False

    accepts: ClassVar[Kinds] = DISTANCES
    drops: ClassVar[tuple[Why, ...]] = ()

    def __post_init__(self) -> None:
        if self.model is not None:
            require(self.model, "embed", type(self).__name__)

    @abstractmethod
    def pick(self, relevance: Floats, similar: Similar) -> list[int]:
        """Indices in the order picked; the others follow in incoming order. `relevance`: n numbers in 0..1; `similar`:
        how like each other the n are."""

    def plan(self, ranking: Ranking) -> Plan:
        head = ranking.kept[: self.depth]
        if not head:
            return ranking
        self.check_scale(ranking)
        relevance = ranking.scale.normalised([ranked.score for ranked in head])
        judged = [place for place, share in enumerate(relevance) if share is not None]
        failures: list[Failure | None] = [None] * len(head)
        similar: Similar
        if self.model is None and not self.given_vectors:
            similar = TermVectors.of([ranked.candidate.full_text for ranked in head]).only(judged)
        else:
            rows = yield from self._embedded(head)
            failures = [row if isinstance(row, Failure) else None for row in rows]
            judged = [place for place in judged if failures[place] is None]
            similar = Rows(np.array([rows[place] for place in judged]))
        notices = failure_notices(type(self).__name__, head, failures)
        order = list(range(len(ranking.kept)))
        if judged:
            picked = self.pick(np.array([relevance[place] for place in judged]), similar)
            rest = np.ones(len(judged), dtype=bool)
            rest[picked] = False
            for place, index in zip(judged, [*picked, *np.flatnonzero(rest).tolist()], strict=True):
                order[place] = judged[index]
            if len(picked) == MOST < len(judged):
                notices.append(self._unpicked([head[judged[index]] for index in np.flatnonzero(rest).tolist()]))
        return ranking.reorder(order).warn(*notices)

    def _unpicked(self, rest: Sequence[Ranked]) -> Notice:
        name, count = type(self).__name__, MOST + len(rest)
        said = f"{name}: the first {MOST:,} of {count:,} candidates were picked one by one; the rest keeps its order"
        return Notice(said, tuple(ranked.position for ranked in rest), degraded=False)

    def _embedded(self, head: Sequence[Ranked]) -> Asking[list[Floats | Failure]]:
        _, found = yield from vectors(self.model, None, head, self.given_vectors)
        size = next((len(vector) for vector in found if not isinstance(vector, Failure)), 0)
        return [_row(vector, size) for vector in found]


def _row(vector: Sequence[float] | Failure, size: int) -> Floats | Failure:
    if isinstance(vector, Failure):
        return vector
    row = np.asarray(vector, dtype=np.float64)
    if len(row) != size or not np.isfinite(row).all() or np.abs(row).max(initial=0) > OVERFLOW:
        return Failure("malformed", f"a vector of {len(row)} numbers cannot be compared with one of {size}")
    return row / (np.linalg.norm(row) or 1.0)


@part
class MMR(Diversify):
    """Pick the largest `trade_off` x relevance - (1 - `trade_off`) x largest similarity to one picked before.

    Source: maximal marginal relevance (Carbonell and Goldstein, 1998).
    """

    def pick(self, relevance: Floats, similar: Similar) -> list[int]:
        if self.trade_off == 1:
            return np.argsort(-relevance, kind="stable").tolist()
        order, _ = marginal_relevance(self.trade_off * relevance, similar, 1 - self.trade_off)
        return order


@part
class DPP(Diversify):
    """Pick what adds most to the determinant of a kernel of relevance and similarity: greedy MAP of a determinantal
    point process. What is a combination of those picked adds nothing and follows in incoming order.

    Looks at all picked ones together, where MMR looks at the nearest. Source: Chen, Zhang and Zhou (2018).
    """

    def pick(self, relevance: Floats, similar: Similar) -> list[int]:
        if self.trade_off == 1:
            return np.argsort(-relevance, kind="stable").tolist()
        weight = np.exp(self.trade_off / (2 * (1 - self.trade_off)) * (relevance - relevance.max()))
        return largest_volume(weight, similar)
