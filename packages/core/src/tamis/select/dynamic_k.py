"""Keep as many candidates as their scores call for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import ClassVar, Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from tamis.errors import ConfigError
from tamis.parts.options import refuse
from tamis.parts.part import part
from tamis.select.policies.base import PolicyRef
from tamis.select.policies.gaps import LargestGap
from tamis.stage.base import Selection, Stage
from tamis.values.calls import Plan
from tamis.values.ranking import Notice, Ranking, Why
from tamis.values.scale import Kind, Kinds


@part
class DynamicK(Selection):
    """Keep the best k by a `policy` that reads the scores, between `k_min` and `k_max`; the others are a `policy_cut`.

    `policy`: a `Policy`, its name or `{name: options}`. With `k_min=0` a policy may keep nothing: the ranking then has
    `abstained` set and its candidates are dropped as `abstained`. Where the cut would part equal scores, `ties` keeps
    all of them (`"in"`) or none (`"out"`); if the bounds forbid that, the other way; if they forbid both, incoming
    order decides and a notice says so. The order of what is kept stays. Refuses scores the policy cannot read
    (`ScaleError`).

    Unscored candidates do not influence the cut. One that comes before the first one the policy rejects is kept and
    counted; one after that, or after the last one with a score, is dropped. With no score at
    all only the bounds hold, and the ranking is degraded.

    Stages compose in this order: Abstain | DynamicK | NearDuplicates | TokenBudget.

    >>> from tamis import FirstStage
    >>> found = [{"text": "", "score": score} for score in (0.92, 0.90, 0.88, 0.61, 0.60, 0.58, 0.57)]
    >>> len((FirstStage() | DynamicK("largest_gap", k_max=8)).rerank("q", found))
    3
    """

    policy: PolicyRef = LargestGap()
    k_min: NonNegativeInt = 1
    k_max: PositiveInt | None = None
    ties: Literal["in", "out"] = "in"

    drops: ClassVar[tuple[Why, ...]] = ("policy_cut", "abstained")

    def __post_init__(self) -> None:
        if self.ties != "in" and "ordinal" in self.policy.reads:
            refuse(self, ["ties"], f"with {self.policy.label}, which reads no scores", "take another policy")
        if self.k_max is not None and self.k_max < self.k_min:
            raise ConfigError(f"DynamicK: k_max {self.k_max} is below k_min {self.k_min}")

    @property
    def accepts(self) -> Kinds:
        return self.policy.reads

    @property
    def label(self) -> str:
        return f"{self.policy.label} of DynamicK"

    def remedy(self, kind: Kind) -> str:
        return self.policy.remedy(kind)

    def follows(self, earlier: Sequence[Stage]) -> None:
        self.policy.follows(earlier)

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        if not ranking.kept:
            return ranking
        self.check_scale(ranking)
        walk, scores = best_first(ranking)
        if "ordinal" in self.policy.accepts:
            scores = [0.0 - place for place in range(len(walk))]
        known = [score for score in scores if score is not None]
        if known:
            wanted, notices = self._place(scores, self.policy.count(np.array(known)))
        else:
            message = "DynamicK: no candidate has a score, so that only k_max limits how many are kept"
            wanted, notices = min(len(walk), self.k_max or len(walk)), [Notice(message, ranking.positions)]
        kept = set(walk[:wanted])
        cut = ranking.drop("policy_cut" if kept else "abstained", lambda index, ranked: index not in kept)
        return replace(cut, abstained=ranking.abstained or not kept).warn(*notices)

    def _place(self, scores: Sequence[float | None], count: int) -> tuple[int, list[Notice]]:
        """Where to cut, so that the bounds hold and, if they allow it, no tie is parted."""
        judged = [place for place, score in enumerate(scores) if score is not None]
        place = judged[count] if count < len(judged) else judged[-1] + 1
        low, high = (min(bound, len(scores)) for bound in (self.k_min, self.k_max or len(scores)))
        target = min(high, max(low, place))
        up, down = range(target, high + 1), range(target, low - 1, -1)
        for cut in chain(up, down) if self.ties == "in" else chain(down, up):
            if not parts_a_tie(scores, judged, cut):
                return cut, []
        said = f"DynamicK: the bounds part candidates with equal scores after {target}; incoming order decides"
        return target, [Notice(said, degraded=False)]


def parts_a_tie(scores: Sequence[float | None], judged: Sequence[int], cut: int) -> bool:
    """Whether the last score before `cut` and the first one after it are equal. `judged`: places with a score."""
    behind = bisect_left(judged, cut)
    return 0 < behind < len(judged) and scores[judged[behind - 1]] == scores[judged[behind]]


def best_first(ranking: Ranking) -> tuple[list[int], list[float | None]]:
    """Indices of the kept candidates and their scores, best first, around those without a score, which keep their
    place. For a ranking that is sorted by score this is the order it has."""
    scores = [ranked.score for ranked in ranking.kept]
    judged = [index for index, score in enumerate(scores) if score is not None]
    best = iter(sorted(judged, key=lambda index: -(scores[index] or 0.0)))
    walk = [index if score is None else next(best) for index, score in enumerate(scores)]
    return walk, [scores[index] for index in walk]
