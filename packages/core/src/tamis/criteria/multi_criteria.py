"""Rank by several criteria at once: the first heart of tamis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, cast

import numpy as np
from pydantic import FiniteFloat, NonNegativeInt, PositiveInt

from tamis.criteria.combine import COMBINATIONS, Row, scale_of, value
from tamis.criteria.criterion import RELEVANCE, Criteria, Criterion, CriterionRef
from tamis.criteria.diversity import Diversity
from tamis.criteria.infer import infer_criteria
from tamis.criteria.rubric import RubricJudge, Sheet
from tamis.criteria.sources import Incoming, Rubric
from tamis.errors import ConfigError
from tamis.parts.options import NOT_GIVEN, OPTIONAL, refuse, settle
from tamis.parts.part import part
from tamis.pool.similar import TermVectors
from tamis.pool.variety import MOST, marginal_relevance
from tamis.prompts.prompting import PassageTokens
from tamis.stage.base import Stage
from tamis.stage.scoring import Limit, failure_notices
from tamis.values.answers import Failure
from tamis.values.calls import Asking, Plan, together
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Notice, Query, Ranked, Ranking, Why
from tamis.values.scale import Scale

Combine = Literal["composite", "normalised", "weighted", "lexicographic", "pareto"]


@part
class MultiCriteria(Stage):
    """Score candidates on relevance and other criteria, combine in code, drop what is below the relevance gate.

    Args:
        model: grades the criteria whose source is a `Rubric`, and names them when `criteria="infer"`; not needed
        otherwise.
        criteria: `Criterion`s, sources, or names of standard criteria; `"infer"` asks the model, from the query alone.
        relevance: the criterion the gate is on; here the incoming score, so that any ranker can come before.
        combine: `composite` (weighted sum on the criteria's own ranges), `normalised` (the same as a share of the
            highest possible), `weighted` (weighted mean of shares), `lexicographic`, `pareto`. See
            `tamis.criteria.combine`.
        gate: candidates with relevance below it are dropped (`below_relevance_gate`); `None` keeps all.
        tie_break: the criterion that decides between equal scores, before relevance and incoming order.
        batch_size, anchors, passage_tokens, reasons: how the rubric is asked; see `tamis.criteria.rubric`.

    Every kept candidate carries its score on each criterion, on the criterion's range, and the model's reason.

    >>> from tamis import Lexical
    >>> from tamis.criteria import Field
    >>> stage = Lexical() | MultiCriteria(criteria=[Field("stars", low=0, high=5)])
    >>> hotels = [{"text": "a quiet hotel", "metadata": {"stars": stars}} for stars in (1, 5)]
    >>> stage.rerank("quiet hotel", hotels).positions
    (1, 0)
    """

    model: ModelRef = None
    criteria: Criteria = ()
    relevance: CriterionRef = replace(RELEVANCE, source=Incoming())
    combine: Combine = "composite"
    gate: FiniteFloat | None = None
    depth: Limit = None
    tie_break: str | None = None
    batch_size: Annotated[PositiveInt, OPTIONAL] = NOT_GIVEN
    anchors: Annotated[NonNegativeInt, OPTIONAL] = NOT_GIVEN
    passage_tokens: Annotated[PassageTokens, OPTIONAL] = NOT_GIVEN
    reasons: Annotated[bool, OPTIONAL] = NOT_GIVEN

    usual: ClassVar[Mapping[str, Any]] = {"batch_size": 10, "anchors": 1, "passage_tokens": 512, "reasons": True}

    def __post_init__(self) -> None:
        name = type(self).__name__
        given = self.given
        by_rubric = [c.name for c in (self.relevance, *given) if isinstance(c.source, Rubric)]
        if by_rubric or self.criteria == "infer":
            if self.model is None:
                raise ConfigError(
                    f"{name}: {', '.join(by_rubric) or 'what to infer'} is judged by a language model; none was given. "
                    "Pass model=..., or give the criteria sources that need none (see tamis.criteria)."
                )
            require(self.model, "generate", name)
        elif self.model is not None:
            refuse(self, ["model"], "as it grades no criterion", "give one the source 'rubric'")
        off = None if by_rubric or self.criteria == "infer" else "as no criterion is graded by a model"
        settle(
            self, "batch_size", "anchors", "passage_tokens", "reasons", off=off, remedy="give one the source 'rubric'"
        )
        names = [self.relevance.name, *(c.name for c in given)]
        if len(set(names)) != len(names):
            raise ConfigError(f"{name}: criteria must have different names, got {names}")
        if self.tie_break is not None and self.criteria != "infer" and self.tie_break not in names:
            raise ConfigError(f"{name}: tie_break {self.tie_break!r} is none of the criteria {names}")
        weights = [c.weight for c in (self.relevance, *given)]
        if self.criteria != "infer" and self.combine != "lexicographic" and not any(weights):
            raise ConfigError(f"{name}: at least one of the criteria {names} must weigh more than 0")
        if _diverse(given) and self.combine in ("lexicographic", "pareto"):
            raise ConfigError(f"{name}: a diversity criterion cannot be combined by {self.combine!r}; use 'composite'")
        self.leaves(None)

    @property
    def given(self) -> tuple[Criterion, ...]:
        """The criteria besides relevance; none when they are inferred."""
        return () if self.criteria == "infer" else cast(tuple[Criterion, ...], self.criteria)

    @property
    def inside(self) -> tuple[Stage, ...]:
        return tuple(stage for criterion in (self.relevance, *self.given) for stage in criterion.source.inside)

    @property
    def drops(self) -> tuple[Why, ...]:
        return () if self.gate is None else ("below_relevance_gate",)

    def leaves(self, before: Scale | None) -> Scale | None:
        criteria = (self.relevance, *self.given)
        for criterion in criteria:
            criterion.source.check(before)
        return None if self.criteria == "infer" and self.combine == "composite" else scale_of(self.combine, criteria)

    def plan(self, ranking: Ranking) -> Plan:
        head = ranking.kept[: self.depth]
        if not head:
            return replace(ranking, scale=scale_of(self.combine, (self.relevance, *self.given)))
        others, notices = yield from self._criteria(ranking.query)
        criteria = (self.relevance, *others)
        rows, sheet, unknown = yield from self._rows(ranking, head, criteria)
        judged = [
            replace(ranked, criteria=row, reason=reason or ranked.reason, score=None)
            for ranked, row, reason in zip(head, rows, sheet.reasons, strict=True)
        ]
        known = [index for index, row in enumerate(rows) if row[self.relevance.name] is not None]
        known.sort(key=lambda index: self._ties(rows[index]))
        places = {}
        combined = self._combined(known, rows, head, criteria)
        for place, (index, score, row) in enumerate(combined):
            judged[index] = replace(judged[index], score=score, criteria=row)
            places[head[index].position] = place
        tail = [replace(ranked, score=None) for ranked in ranking.kept[len(head) :]]
        scale = scale_of(self.combine, criteria)
        result = ranking.scored([*judged, *tail], scale, lambda ranked: places[ranked.position])
        if self.gate is not None:
            result = result.drop("below_relevance_gate", self._below_gate)
            if not result.kept:
                below = f"all {len(head)} candidates are below the gate of {self.gate:g} on {self.relevance.name}"
                told = f"{type(self).__name__} kept nothing: {below}; lower the gate, or pass gate=None"
                unknown.append(Notice(told, degraded=False))
        rest = [head[index].position for index, _, row in combined[MOST:] if _diverse(criteria) and self._passes(row)]
        if rest:
            told = f"{type(self).__name__}: {len(rest):,} candidates are compared for diversity with the first {MOST:,}"
            unknown.append(Notice(f"{told} chosen only", tuple(rest), degraded=False))
        failed = failure_notices(type(self).__name__, head, sheet.failures)
        return result.warn(*notices, *unknown, *failed, *_ungraded(criteria, head, rows))

    def _criteria(self, query: Query) -> Asking[tuple[tuple[Criterion, ...], list[Notice]]]:
        if self.criteria != "infer":
            return self.given, []
        return (yield from infer_criteria(self.model, query))

    def _rows(
        self, ranking: Ranking, head: Sequence[Ranked], criteria: Sequence[Criterion]
    ) -> Asking[tuple[list[dict[str, float | None]], Sheet, list[Notice]]]:
        """Each candidate's score on each criterion, all sources asked in the same round; what no source could tell."""
        by_rubric = [c for c in criteria if isinstance(c.source, Rubric)]
        by_source = [c for c in criteria if not isinstance(c.source, Rubric)]
        judge = RubricJudge(self.model, by_rubric, self.batch_size, self.anchors, self.passage_tokens, self.reasons)
        plans: list[Asking[Any]] = [c.source.scores(ranking, head) for c in by_source]
        plans.append(judge.sheet(ranking.query, head) if by_rubric else _nothing(len(head)))
        *columns, sheet = yield from together(plans)
        table = dict(sheet.grades)
        notices = [notice for criterion in by_source for notice in criterion.source.notices(head)]
        for criterion, column in zip(by_source, columns, strict=True):
            failures = [share if isinstance(share, Failure) else None for share in column]
            shares = [None if isinstance(share, Failure) else share for share in column]
            table[criterion.name] = [None if share is None else share * criterion.max for share in shares]
            if criterion == self.relevance:
                sheet = replace(sheet, failures=[a or b for a, b in zip(failures, sheet.failures, strict=True)])
            else:
                notices += _unknown(criterion, head, failures)
        rows = [{c.name: table[c.name][index] for c in criteria} for index in range(len(head))]
        for index, row in enumerate(rows):
            if row[self.relevance.name] is None and sheet.failures[index] is None:
                sheet.failures[index] = Failure("malformed", "its relevance is unknown")
        return rows, sheet, notices

    def _combined(
        self, known: Sequence[int], rows: Sequence[Row], head: Sequence[Ranked], criteria: Sequence[Criterion]
    ) -> list[tuple[int, float, Row]]:
        """(index, score, row) of every judged candidate. `known` and what comes back: the earlier wins a tie."""
        diverse = _diverse(criteria)
        combine = COMBINATIONS[self.combine]
        if not diverse:
            scores = combine([rows[index] for index in known], criteria)
            return [(index, score, rows[index]) for index, score in zip(known, scores, strict=True)]
        passing = [self._passes(rows[i]) for i in known]
        left = [i for i, passes in zip(known, passing, strict=True) if passes]
        gated = [i for i, passes in zip(known, passing, strict=True) if not passes]
        fixed = list(zip(gated, combine([rows[i] for i in gated], criteria), (rows[i] for i in gated), strict=True))
        return _greedy(left, rows, head, criteria, self.combine) + fixed

    def _passes(self, row: Row) -> bool:
        return self.gate is None or (row[self.relevance.name] or 0.0) >= self.gate

    def _ties(self, row: Row) -> tuple[float, float]:
        first = row.get(self.tie_break) if self.tie_break else None
        return -(first or 0.0), -(row.get(self.relevance.name) or 0.0)

    def _below_gate(self, index: int, ranked: Ranked) -> bool:
        return ranked.score is not None and value(ranked.criteria, self.relevance) < (self.gate or 0.0)


def _diverse(criteria: Sequence[Criterion]) -> list[Criterion]:
    return [criterion for criterion in criteria if isinstance(criterion.source, Diversity)]


def _unknown(criterion: Criterion, head: Sequence[Ranked], failures: Sequence[Failure | None]) -> list[Notice]:
    """A notice when calls for the scores of a criterion failed."""
    lost = [(ranked.position, failure) for ranked, failure in zip(head, failures, strict=True) if failure]
    return [
        Notice(
            f"criterion {criterion.name!r} is unknown for {len(lost)} of {len(head)} candidates and counts as the "
            f"middle of its range ({failure.message})",
            tuple(position for position, _ in lost),
        )
        for _, failure in lost[:1]
    ]


def _ungraded(criteria: Sequence[Criterion], head: Sequence[Ranked], rows: Sequence[Row]) -> list[Notice]:
    """A notice where candidates whose relevance was graded lack other grades."""
    relevance, *others = criteria
    rubric = [c.name for c in others if isinstance(c.source, Rubric)]
    lacking = {
        ranked.position: [name for name in rubric if row.get(name) is None]
        for ranked, row in zip(head, rows, strict=True)
        if row.get(relevance.name) is not None
    }
    lacking = {position: names for position, names in lacking.items() if names}
    if not lacking:
        return []
    names = ", ".join(name for name in rubric if any(name in missing for missing in lacking.values()))
    told = (
        f"{len(lacking)} of {len(head)} candidates have no grade on some of {names}; they count by the grades they have"
    )
    return [Notice(told, tuple(lacking), degraded=False)]


def _nothing(count: int) -> Asking[Sheet]:
    yield from ()
    return Sheet({}, [None] * count, [None] * count)


def _greedy(
    left: Sequence[int], rows: Sequence[Row], head: Sequence[Ranked], criteria: Sequence[Criterion], combination: str
) -> list[tuple[int, float, Row]]:
    """Choose one by one: each time the best composite, diversity measured against those already chosen."""
    diverse = _diverse(criteria)
    plain = [c for c in criteria if c not in diverse]
    total = np.array(COMBINATIONS[combination]([rows[i] for i in left], [*plain, *diverse]))
    loss = _loss_of_similarity(diverse, criteria, combination)
    order, nearest = marginal_relevance(total, TermVectors.of([ranked.text for ranked in head]).only(left), loss)
    chosen = set(order)
    rest = [place for place in range(len(left)) if place not in chosen]
    order += sorted(rest, key=lambda place: float(loss * nearest[place] - total[place]))
    return [
        (
            left[place],
            float(total[place] - loss * nearest[place]),
            {**rows[left[place]], **{c.name: c.max * (1.0 - float(nearest[place])) for c in diverse}},
        )
        for place in order
    ]


def _loss_of_similarity(diverse: Sequence[Criterion], criteria: Sequence[Criterion], combination: str) -> float:
    """What the combined score loses for a candidate identical to one already chosen: combinations here are linear."""
    full = {c.name: c.max for c in criteria}
    none = {**full, **{c.name: 0.0 for c in diverse}}
    high, low = COMBINATIONS[combination]([full, none], criteria)
    return high - low
