"""Combine the results of several stages on the same candidates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from tamis.aggregation.lists import unit
from tamis.calls import Plan
from tamis.errors import ConfigError, ScaleError
from tamis.part import part
from tamis.ranking import Dropped, Ranked, Ranking
from tamis.references import StageRef
from tamis.scale import FUSION, ORDINAL, Scale
from tamis.stage import Stage, together


@part
class Fuse(Stage):
    """Run `stages` abreast on the same ranking and merge their results. `a & b` is `Fuse((a, b))`.

    `method`: `"rrf"`, the sum of `weight / (k + rank)` (Cormack et al., 2009), needs only orders. The others need
    scores: `"weighted"`, their weighted mean after min-max within the query; `"mean"`, their weighted mean as they are,
    which must be of one scale (the cosines of two encoders: CIKMar, Lopo et al., 2024); `"product"`, the product of
    score^(weight / sum of weights), which orders as the product of powers does (RRRA, 2026), each score brought to 0..1
    as its scale says (a logit by the logistic function, a cosine cut at 0, a BM25 score as a share of the best): what
    one branch gives 0 is 0.

    A candidate that a branch dropped gets nothing from that branch (with `"mean"` its lowest score), and is dropped
    when every branch dropped it; one that a branch could not judge is averaged over the others. Scale: `fusion`; with
    `"mean"` that of the branches. Raises `ScaleError` for branches whose scores the method cannot add.

    >>> from tamis import FirstStage, Lexical
    >>> fused = Fuse((FirstStage(), Lexical()), weights=(1, 2), method="weighted")
    """

    stages: tuple[StageRef, ...]
    weights: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] | None = None
    method: Literal["rrf", "weighted", "mean", "product"] = "rrf"
    k: Annotated[float, Field(gt=0)] = 60.0

    def __post_init__(self) -> None:
        if len(self.stages) < 1:
            raise ConfigError("Fuse needs at least one stage")
        if self.weights is not None and (len(self.weights) != len(self.stages) or not any(self.weights)):
            raise ConfigError(
                f"Fuse needs one weight a stage, not all zero: {len(self.stages)} stages, weights {self.weights}"
            )

    def plan(self, ranking: Ranking) -> Plan:
        branches = yield from together([stage.plan(ranking) for stage in self.stages])
        weights = self.weights or (1.0,) * len(branches)
        scale = self._scale(branches)
        shares = [self._shares(branch) for branch in branches]
        nothing = [self._nothing(share) for share in shares]
        views = [{ranked.position: ranked for ranked in branch.kept} for branch in branches]
        merged = [
            _merge(
                ranked,
                [view.get(ranked.position) for view in views],
                self._total(
                    [share.get(ranked.position, none) for share, none in zip(shares, nothing, strict=True)], weights
                ),
            )
            for ranked in ranking.kept
        ]
        fused = ranking.scored(merged, scale)
        fused = _drop_where_all_did(fused, ranking, branches)
        noted = {name: value for branch in branches for name, value in branch.monitors.items()}
        if noted:
            fused = replace(fused, monitors=noted)
        return fused.warn(*(notice for branch in branches for notice in branch.warnings[len(ranking.warnings) :]))

    def _scale(self, branches: Sequence[Ranking]) -> Scale:
        if self.method != "rrf" and any(branch.scale == ORDINAL for branch in branches):
            raise ScaleError("ordinal scores have no distances to add; fuse with method='rrf'")
        if self.method != "mean":
            return FUSION
        scale, *others = {branch.scale for branch in branches}
        if others:
            told = ", ".join(branch.scale.kind for branch in branches)
            raise ScaleError(f"scores of different scales have no mean ({told}); fuse with method='weighted' or 'rrf'")
        return scale

    def _shares(self, branch: Ranking) -> dict[int, float | None]:
        """What each candidate gets from one branch, by position; `None` where the branch could not judge it."""
        if self.method == "rrf":
            return {ranked.position: 1.0 / (self.k + rank) for rank, ranked in enumerate(branch.kept, 1)}
        scores: Sequence[float | None] = [ranked.score for ranked in branch.kept]
        if self.method == "weighted":
            scores = unit(scores)
        elif self.method == "product":
            scores = branch.scale.unit(scores)
        return {ranked.position: score for ranked, score in zip(branch.kept, scores, strict=True)}

    def _nothing(self, share: Mapping[int, float | None]) -> float | None:
        """What a candidate gets from a branch that dropped it."""
        if self.method != "mean":
            return 0.0
        return min((score for score in share.values() if score is not None), default=None)

    def _total(self, shares: Sequence[float | None], weights: Sequence[float]) -> float | None:
        known = [(share, weight) for share, weight in zip(shares, weights, strict=True) if share is not None and weight]
        total = sum(weight for _, weight in known)
        if not known:
            return None
        if self.method == "product":
            return math.prod(share ** (weight / total) for share, weight in known)
        fused = sum(share * weight for share, weight in known)
        return fused if self.method == "rrf" else fused / total


def _merge(ranked: Ranked, views: Sequence[Ranked | None], score: float | None) -> Ranked:
    """One candidate with the fused score and what every branch said of it."""
    criteria = {name: value for view in views if view for name, value in view.criteria.items()}
    reason = next((view.reason for view in views if view and view.reason), ranked.reason)
    lifted = tuple(dict.fromkeys(neighbour for view in views if view for neighbour in view.lifted_by))
    return replace(
        ranked,
        score=score,
        criteria=criteria or ranked.criteria,
        reason=reason,
        lifted_by=lifted or ranked.lifted_by,
    )


def _drop_where_all_did(fused: Ranking, before: Ranking, branches: Sequence[Ranking]) -> Ranking:
    new = [{d.position: d for d in branch.dropped[len(before.dropped) :]} for branch in branches]
    gone = set.intersection(*(set(drops) for drops in new))
    dropped = tuple(Dropped(new[0][position].ranked, new[0][position].why) for position in sorted(gone))
    kept = tuple(ranked for ranked in fused.kept if ranked.position not in gone)
    return replace(fused, kept=kept, dropped=fused.dropped + dropped)
