"""How methods compose. A stage is pure logic: it plans calls, an engine makes them.

`a | b`: b sees what a returned. `a & b`: both see the same ranking and their results are fused.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from tamis.aggregation.lists import min_max
from tamis.engine.shared import default_engine
from tamis.errors import ConfigError, ScaleError
from tamis.parts.dump import dump, to_yaml
from tamis.parts.family import Family
from tamis.parts.numbers import NonNegative, Positive
from tamis.parts.options import NOT_GIVEN, OPTIONAL, settle
from tamis.parts.part import part
from tamis.parts.plugins import normal
from tamis.stage.merging import drop_where_all_did, merge, standardised
from tamis.stage.presets import PRESETS, no_options
from tamis.stage.scales import Left, after, refuse, remedy
from tamis.values.calls import Plan, together
from tamis.values.ranking import Candidate, Query, Ranking, Why
from tamis.values.scale import ANY, FUSION, ORDINAL, Kind, Kinds, Scale
from tamis.values.similarity import Scores

if TYPE_CHECKING:
    from tamis.engine.engine import Engine
    from tamis.stage.explain import Explanation


class Stage(ABC):
    """A step that turns one ranking into another.

    To write one, derive a frozen pydantic dataclass (`@part`): its fields are its whole state, so that a stage can be
    compared, printed, written as data and read back.

    A subclass must override `plan`. A stage that gives each candidate a score derives `Scoring` instead, and one that
    only drops or moves candidates derives `Selection`; both need less. The rest has defaults that are always safe, and
    each method that is overridden lets a pipeline find more mistakes before it runs, or say more about itself:

    `accepts`: the kinds of scale it can read; default: all. Call `check_scale` in `plan` to refuse others.
    `leaves`: the scale of the scores it leaves; default: not known before it runs.
    `drops`: the reasons for which it may drop candidates; default: not known.
    `inside`: the stages it runs on what comes in; default: none.
    `follows`: a check of the stages in front of it; default: none.
    `remedy`, `label`: words for messages.

    >>> from tamis import Lexical, TopN
    >>> (Lexical() | TopN(1)).rerank("tall mountain", ["a recipe", "a tall mountain"]).kept[0].text
    'a tall mountain'
    """

    @abstractmethod
    def plan(self, ranking: Ranking) -> Plan:
        """Yield batches of calls, receive their answers in the same order, return the new ranking. No I/O here."""

    @property
    def accepts(self) -> Kinds:
        """The kinds of scale whose scores this stage can read."""
        return ANY

    def leaves(self, before: Scale | None) -> Scale | None:
        """The scale of the scores this stage leaves where scores of scale `before` come in; `None`: not known before
        running. Raises `ScaleError` where what it holds can never run. Asks no model."""
        return None

    @property
    def drops(self) -> tuple[Why, ...] | None:
        """The reasons for which this stage may drop candidates; empty: it drops none; `None`: not known."""
        return None

    @property
    def inside(self) -> tuple[Stage, ...]:
        """The stages that this one runs on the ranking that comes in."""
        return ()

    @property
    def label(self) -> str:
        """What messages call this stage."""
        return type(self).__name__

    def remedy(self, kind: Kind) -> str:
        """What to do where scores of a `kind` come in that this stage cannot read."""
        return remedy(self.accepts, kind)

    def check_scale(self, ranking: Ranking) -> None:
        """Raise `ScaleError`, saying what to put in front, when this stage cannot read the scores of `ranking`."""
        if ranking.kept and ranking.scale.kind not in self.accepts:
            raise refuse(self.label, self.accepts, ranking.scale.kind, self.remedy(ranking.scale.kind))

    def through(self, before: Left) -> Left:
        """What `leaves` says, with the name of the stage that made the scores. See `tamis.stage.scales.after`."""
        for inner in self.inside:
            after(inner, before)
        return Left(self.leaves(before.scale), self.label)

    def follows(self, earlier: Sequence[Stage]) -> None:  # noqa: B027
        """Called where a pipeline is made, with the stages before this one; for a stage inside others, those before
        them come first. Raise `ConfigError` when it cannot follow them."""

    def rerank(
        self,
        query: str | Query,
        candidates: Iterable[str | Mapping[str, Any] | Candidate],
        *,
        scores: Scores = "detect",
        engine: Engine | None = None,
    ) -> Ranking:
        """Rerank now, in this thread; safe inside a running event loop, though it blocks it. See `Engine.rerank`.

        `scores`: what the candidates' scores are, such as `"distance"`; see `tamis.values.similarity.Scores`.
        """
        return (engine or default_engine()).rerank(self, query, candidates, scores=scores)

    async def arerank(
        self,
        query: str | Query,
        candidates: Iterable[str | Mapping[str, Any] | Candidate],
        *,
        scores: Scores = "detect",
        engine: Engine | None = None,
    ) -> Ranking:
        """Rerank without blocking the event loop. Same result as `rerank`."""
        return await (engine or default_engine()).arerank(self, query, candidates, scores=scores)

    @property
    def flat(self) -> tuple[Stage, ...]:
        """This stage, or the stages of a pipeline and of the pipelines in it, in order."""
        return (self,)

    def explanation(self, candidates: int = 100) -> Explanation:
        """What this stage needs, asks of which model, may drop and leaves, for `candidates` candidates of one query.
        Asks and loads no model. `print` shows it as text. Calls are those of a dry run: see `Engine.dry_run`; those of
        a stage that the dry run cannot drive are reported as not predicted. Raises `InputError` unless `candidates` is
        a whole number from 0.

        >>> from tamis import Lexical, TopN
        >>> print((Lexical() | TopN(5)).explanation())
        for 100 candidates:
          1. Lexical: asks no model; drops nothing; scale: lexical
          2. TopN: asks no model; may drop: top_n; scale: lexical
        """
        from tamis.stage.explain import explained

        return explained(self, candidates)

    def to_data(self) -> Any:
        """This stage as plain data that `tamis.load` reads back. `ConfigError` for a model that is not data."""
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
        known = context or {}
        made = self._made(value, {**known, "nested": True})
        if not known.get("nested"):
            check_order(made)
            made.leaves(None)
        return made

    def resolve(self, name: str) -> type:
        """As for every family; a preset's name in the place of a stage's is explained."""
        try:
            return super().resolve(name)
        except ConfigError:
            if name in self or name not in PRESETS:
                raise
        raise ConfigError(no_options(name))

    def _made(self, value: Any, context: Mapping[str, Any]) -> Any:
        if isinstance(value, (list, tuple)):
            made = ((item, self.validate(item, context)) for item in value)
            inner = (s for item, one in made for s in (steps(one) if isinstance(item, str) else (one,)))
            return Pipeline.nested(tuple(inner))
        if isinstance(value, str) and value in PRESETS:
            inside = context.get("presets", ())
            if normal(value) not in inside:
                return self._preset(value, {**context, "presets": (*inside, normal(value)), "allow": None})
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

    The distinction matters to calibration: what was fitted on the scores before such a stage holds after it.
    """

    def leaves(self, before: Scale | None) -> Scale | None:
        return before

    def through(self, before: Left) -> Left:
        return Left(self.leaves(before.scale), before.by)


@part
class Pipeline(Stage):
    """Stages one after the other. Usually written `a | b | c`.

    Raises `ScaleError` when it is made with a stage that cannot read the scores of the one in front of it.
    """

    stages: tuple[StageRef, ...] = ()

    def __post_init__(self) -> None:
        check_order(self)
        self.leaves(None)

    @classmethod
    def nested(cls, stages: tuple[Stage, ...]) -> Pipeline:
        """A pipeline that is still to be checked: it is part of a larger one, whose other stages may come before it."""
        made = object.__new__(cls)
        object.__setattr__(made, "stages", stages)
        return made

    def leaves(self, before: Scale | None) -> Scale | None:
        return self.through(Left(before)).scale

    def through(self, before: Left) -> Left:
        for stage in self.stages:
            before = after(stage, before)
        return before

    @property
    def drops(self) -> tuple[Why, ...] | None:
        return all_drops(self.stages)

    def explain(self, candidates: int = 100) -> Explanation:
        """What each stage needs, asks, may drop and leaves: see `Stage.explanation`."""
        return self.explanation(candidates)

    @property
    def flat(self) -> tuple[Stage, ...]:
        return tuple(inner for step in self.stages for inner in step.flat)

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


def check_order(stage: Stage, earlier: tuple[Stage, ...] = ()) -> None:
    """Raise `ConfigError` when a stage cannot follow those before it: each step of `stage`, and the stages inside each,
    to any depth. `earlier`: what comes before `stage`. See `Stage.follows`."""
    for step in flattened(stage):
        step.follows(earlier)
        for inner in step.inside:
            check_order(inner, earlier)
        earlier = (*earlier, step)


def all_drops(stages: Iterable[Stage]) -> tuple[Why, ...] | None:
    """The reasons for which any of `stages` may drop candidates; `None` when one does not say."""
    found: dict[Why, None] = {}
    for stage in stages:
        if stage.drops is None:
            return None
        found.update(dict.fromkeys(stage.drops))
    return tuple(found)


def scorer(stage: Stage) -> Stage:
    """The stage whose scores `stage` leaves: of a pipeline the last one that does more than select."""
    return next((step for step in reversed(flattened(stage)) if not isinstance(step, Selection)), stage)


def flattened(stage: Stage) -> tuple[Stage, ...]:
    """The stages of a pipeline and of the pipelines in it, in order."""
    return stage.flat


@part
class Fuse(Stage):
    """Run `stages` at the same time on the same ranking and merge their results. `a & b` is `Fuse((a, b))`.

    `method`: `"rrf"`, the sum of `weight / (k + rank)` (Cormack et al., 2009), needs only orders. The others need
    scores: `"weighted"`, their weighted mean after min-max within the query; `"mean"`, their weighted mean as they are,
    which must be of one scale (the cosines of two encoders: CIKMar, Lopo et al., 2024); `"product"`, the product of
    score^(weight / sum of weights), which orders as the product of powers does (RRRA, 2026), each score brought to 0..1
    as its scale says (a logit by the logistic function, a cosine cut at 0, a BM25 score as a share of the best): what
    one branch gives 0 is 0. `"standard"`, the weighted mean of their deviations from the mean, in standard deviations,
    over the candidates that every branch scored; the others get no score and keep their places. That fits a branch that
    reads the first few alone: `default | Fuse((Pipeline(), CrossEncoder(model, depth=30)), method="standard")`.

    A candidate that a branch dropped gets nothing from that branch (with `"mean"` its lowest score), and is dropped
    when every branch dropped it; one that a branch could not judge is averaged over the others. Scale: `fusion`; with
    `"mean"` that of the branches. Raises `ScaleError` for branches whose scores the method cannot add.

    >>> from tamis import FirstStage, Lexical
    >>> fused = Fuse((FirstStage(), Lexical()), weights=(1, 2), method="weighted")
    """

    stages: tuple[StageRef, ...]
    weights: tuple[NonNegative, ...] | None = None
    method: Literal["rrf", "weighted", "mean", "product", "standard"] = "rrf"
    k: Annotated[Positive, OPTIONAL] = NOT_GIVEN

    usual: ClassVar[Mapping[str, Any]] = {"k": 60.0}

    def __post_init__(self) -> None:
        if len(self.stages) < 1:
            raise ConfigError("Fuse needs at least one stage")
        if self.weights is not None and (len(self.weights) != len(self.stages) or not any(self.weights)):
            raise ConfigError(
                f"Fuse needs one weight per stage, not all zero: {len(self.stages)} stages, weights {self.weights}"
            )
        settle(
            self, "k", off=None if self.method == "rrf" else f"with method={self.method!r}", remedy="take method='rrf'"
        )
        self.leaves(None)

    @property
    def inside(self) -> tuple[Stage, ...]:
        return self.stages

    @property
    def drops(self) -> tuple[Why, ...] | None:
        return all_drops(self.stages)

    def leaves(self, before: Scale | None) -> Scale | None:
        return self.through(Left(before)).scale

    def through(self, before: Left) -> Left:
        return Left(self._scale([after(stage, before) for stage in self.stages]), self.label)

    def plan(self, ranking: Ranking) -> Plan:
        branches = yield from together([stage.plan(ranking) for stage in self.stages])
        weights = self.weights or (1.0,) * len(branches)
        made = zip(branches, map(scorer, self.stages), strict=True)
        left = [Left(branch.scale, None if isinstance(by, Selection) else by.label) for branch, by in made]
        scale = self._scale(left) or FUSION
        shares = [self._shares(branch) for branch in branches]
        if self.method == "standard":
            shares = standardised(shares)
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

    def _scale(self, branches: Sequence[Left]) -> Scale | None:
        """Of the fused scores, from those of the branches; `None` where one is not known. `ScaleError` where they
        cannot be added."""
        scales = [scale for scale, _ in branches]
        for scale, by in branches:
            if self.method != "rrf" and scale == ORDINAL:
                raise ScaleError(
                    f"Fuse with method={self.method!r} adds scores up; {by or 'the stage in front'} leaves ordinal "
                    "ones, which have no distances. Put a stage that scores in its place, or fuse with method='rrf'."
                )
        if self.method != "mean":
            return FUSION
        if len({scale for scale in scales if scale is not None}) > 1:
            listed = ", ".join(f"{scale.kind} from {by or 'the stage in front'}" for scale, by in branches if scale)
            raise ScaleError(
                f"Fuse with method='mean' needs scores of one scale; it gets {listed}. Fuse with method='weighted' or "
                "'rrf'."
            )
        return None if None in scales else scales[0]

    def _shares(self, branch: Ranking) -> dict[int, float | None]:
        """What each candidate gets from one branch, by position; `None` where the branch could not judge it."""
        if self.method == "rrf":
            return {ranked.position: 1.0 / (self.k + rank) for rank, ranked in enumerate(branch.kept, 1)}
        scores: Sequence[float | None] = [ranked.score for ranked in branch.kept]
        if self.method == "weighted":
            scores = min_max(scores)
        elif self.method == "product":
            scores = branch.scale.normalised(scores)
        return {ranked.position: score for ranked, score in zip(branch.kept, scores, strict=True)}

    def _nothing(self, share: Mapping[int, float | None]) -> float | None:
        """What a candidate gets from a branch that dropped it."""
        if self.method == "standard":
            return None
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
