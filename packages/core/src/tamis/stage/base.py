"""How methods compose. A stage is pure logic: it plans calls, an engine makes them.

`a | b`: b sees what a returned. `a & b`: both see the same ranking and their results are fused.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tamis.aggregation.lists import unit
from tamis.engine.shared import default_engine
from tamis.errors import ConfigError, ScaleError
from tamis.parts.dump import dump, to_yaml
from tamis.parts.family import Family
from tamis.parts.numbers import NonNegative, Positive
from tamis.parts.part import part
from tamis.parts.plugins import normal
from tamis.stage.merging import drop_where_all_did, merge
from tamis.stage.presets import PRESETS
from tamis.values.calls import Plan, together
from tamis.values.ranking import Candidate, Query, Ranking
from tamis.values.scale import FUSION, ORDINAL, Scale

if TYPE_CHECKING:
    from tamis.engine.engine import Engine


class Stage(ABC):
    """A step that turns one ranking into another.

    Subclasses are frozen pydantic dataclasses with a `plan`; their fields are their whole state, so that a stage can be
    compared, printed, written as data and read back.

    >>> from tamis import Lexical, TopN
    >>> (Lexical() | TopN(1)).rerank("tall mountain", ["a recipe", "a tall mountain"]).kept[0].text
    'a tall mountain'
    """

    @abstractmethod
    def plan(self, ranking: Ranking) -> Plan:
        """Yield batches of calls, receive their answers in the same order, return the new ranking. No I/O here."""

    def follows(self, earlier: Sequence[Stage]) -> None:  # noqa: B027
        """Called where a pipeline is made, with the stages in front of this one. Raise `ConfigError` when it cannot
        stand there."""

    def rerank(
        self,
        query: str | Query,
        candidates: Iterable[str | Mapping[str, Any] | Candidate],
        *,
        engine: Engine | None = None,
    ) -> Ranking:
        """Rerank now, in this thread; safe inside a running event loop, though it blocks it. See `Engine.rerank`."""
        return (engine or default_engine()).rerank(self, query, candidates)

    async def arerank(
        self,
        query: str | Query,
        candidates: Iterable[str | Mapping[str, Any] | Candidate],
        *,
        engine: Engine | None = None,
    ) -> Ranking:
        """Rerank without blocking the event loop. Same result as `rerank`."""
        return await (engine or default_engine()).arerank(self, query, candidates)

    def to_data(self) -> Any:
        """This stage as plain data that `tamis.load` reads back. `ConfigError` for a model that is no data."""
        return dump(self)

    def to_yaml(self) -> str:
        return to_yaml(self.to_data())

    def __or__(self, other: Stage) -> Pipeline:
        if not isinstance(other, Stage):
            return NotImplemented
        return Pipeline((*steps(self), *steps(other)))

    def __and__(self, other: Stage) -> Fuse:
        if not isinstance(other, Stage):
            return NotImplemented
        return Fuse((self, other))


class _Stages(Family):
    """A stage is also described by a list of stages, or by a preset's name, which means the preset's steps."""

    def validate(self, value: Any, context: Any) -> Any:
        if isinstance(value, Stage):
            return value
        if isinstance(value, (list, tuple)):
            made = ((item, self.validate(item, context)) for item in value)
            return Pipeline(tuple(s for item, one in made for s in (steps(one) if isinstance(item, str) else (one,))))
        if isinstance(value, str) and value in PRESETS:
            inside = (context or {}).get("presets", ())
            if normal(value) not in inside:
                return self._preset(value, {**(context or {}), "presets": (*inside, normal(value))})
            if value not in self:
                raise ConfigError(f"the preset {value!r} contains itself: {' > '.join((*inside, value))}")
        return self.build(value, context)

    def _preset(self, name: str, context: Mapping[str, Any]) -> Stage:
        """The steps of a preset. In its own file, its name means the stage of that name."""
        first, *others = steps(stage := self.validate(PRESETS.data(name)["stage"], context))
        made: Stage = stage if others else first
        if name in self and type(made) is not (other := self.resolve(name)):
            homes = [package or "tamis" for package in (PRESETS.package_of(name), self.package_of(other))]
            raise ConfigError(
                f"{name!r} is a preset of {homes[0]} and a different stage of {homes[1]}, so the bare name could mean "
                f"either. Write {{{name}: {{}}}} for the stage; the preset needs another name."
            )
        return made


STAGES = _Stages("stage", Stage, "tamis", "stage", "tamis.stages")
StageRef = Annotated[Stage, *STAGES]
"""Field type: a stage, its name, `{name: options}`, a preset's name, or a list of these."""


class Selection(Stage):
    """A stage that takes candidates out or moves them, and leaves their scores as they are.

    The distinction matters to calibration: what was fitted on the scores in front of such a stage holds behind it.
    """


@part
class Pipeline(Stage):
    """Stages one after the other. Usually written `a | b | c`."""

    stages: tuple[StageRef, ...] = ()

    def __post_init__(self) -> None:
        flat = flattened(self)
        for place, stage in enumerate(flat):
            stage.follows(flat[:place])

    def as_data(self, dump: Callable[[Any], Any]) -> Any:
        """A pipeline is written as the list of its stages."""
        return [dump(stage) for stage in self.stages]

    def plan(self, ranking: Ranking) -> Plan:
        for stage in self.stages:
            ranking = yield from stage.plan(ranking)
        return ranking


def steps(stage: Stage) -> tuple[Stage, ...]:
    """The stages of a pipeline, or the stage itself."""
    return stage.stages if isinstance(stage, Pipeline) else (stage,)


def flattened(stage: Stage) -> tuple[Stage, ...]:
    """The stages of a pipeline and of the pipelines in it, in order."""
    if not isinstance(stage, Pipeline):
        return (stage,)
    return tuple(inner for step in stage.stages for inner in flattened(step))


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
    weights: tuple[NonNegative, ...] | None = None
    method: Literal["rrf", "weighted", "mean", "product"] = "rrf"
    k: Positive = 60.0

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
            merge(
                ranked,
                [view.get(ranked.position) for view in views],
                self._total(
                    [share.get(ranked.position, none) for share, none in zip(shares, nothing, strict=True)], weights
                ),
            )
            for ranked in ranking.kept
        ]
        fused = ranking.scored(merged, scale)
        fused = drop_where_all_did(fused, ranking, branches)
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
