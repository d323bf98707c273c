"""What every scoring stage is: from answers to a sorted ranking, with a notice for what was not judged."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from pydantic import PositiveInt

from tamis.stage.base import Stage
from tamis.values.answers import Failure
from tamis.values.calls import Asking, Plan
from tamis.values.ranking import Notice, Ranked, Ranking, Why, finite
from tamis.values.scale import Scale

Limit = PositiveInt | None
"""How many candidates from the top a stage judges; the others stay after them in incoming order. `None`: all."""

Given = float | Failure | None
"""A candidate's score, or why it has none; `None`: nothing is known of it, and that is no failure."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores, with what else a scoring stage found out.

    `values`: one for each of the first candidates; those after them were not looked at. `head`: the same candidates
    with what was learned of them (criteria, reasons, `lifted_by`, artefacts); `None`: nothing. `notices`: what to
    report besides failures.
    """

    values: Sequence[Given]
    head: Sequence[Ranked] | None = None
    notices: Sequence[Notice] = ()


class Scoring(Stage):
    """A stage that gives candidates scores and sorts by them.

    A subclass is a part with two members: `scale`, what its scores mean, and `scores`, which asks for them. The rest is
    done here: the first `depth` candidates are judged (a field of the subclass; all, where it has none), best first,
    ties in incoming order. A candidate that could not be judged keeps its place, and a notice names it and the reason.

    >>> from typing import ClassVar
    >>> from tamis.parts.part import part
    >>> from tamis.values.scale import LEXICAL, Scale
    >>> @part
    ... class Shortest(Scoring):
    ...     depth: Limit = None
    ...     scale: ClassVar[Scale] = LEXICAL
    ...
    ...     def scores(self, ranking, head):
    ...         yield from ()  # no model is asked; to ask one: answers = yield [Classify(...), ...]
    ...         return [1 / (1 + len(ranked.text)) for ranked in head]
    >>> Shortest().rerank("q", ["long text", "text"]).positions
    (1, 0)
    """

    depth: Limit = None

    @property
    @abstractmethod
    def scale(self) -> Scale:
        """What the scores mean."""

    @abstractmethod
    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given] | Scored]:
        """A score for each of `head`, which holds at least one candidate, or the `Failure` that left it without one.

        A generator: it yields lists of calls, receives their answers in the same order, and returns the scores. A score
        that is not a finite number counts as a failure.
        """

    def leaves(self, before: Scale | None) -> Scale | None:
        return self.scale

    @property
    def drops(self) -> tuple[Why, ...]:
        return ()

    def plan(self, ranking: Ranking) -> Plan:
        head = ranking.kept[: self.depth]
        found = (yield from self.scores(ranking, head)) if head else ()
        scored = found if isinstance(found, Scored) else Scored(found)
        if scored.head is not None:
            ranking = replace(ranking, kept=(*scored.head, *ranking.kept[len(scored.head) :]))
        values, failures = _split(scored.values)
        notices = failure_notices(self.label, head[: len(values)], failures)
        return rescored(ranking, values, self.scale).warn(*scored.notices, *notices)


UNUSABLE = Failure("malformed", "the answer held no usable number")


def _split(given: Sequence[Given]) -> tuple[list[float | None], list[Failure | None]]:
    """The scores, `None` where there is none, and the failures, `None` where there is none."""
    values = [None if isinstance(value, Failure) else finite(value) for value in given]
    failures: list[Failure | None] = [
        value if isinstance(value, Failure) else UNUSABLE if value is not None and score is None else None
        for value, score in zip(given, values, strict=True)
    ]
    return values, failures


def rescored(ranking: Ranking, scores: Sequence[float | None], scale: Scale) -> Ranking:
    """Sort by `scores` of the first `len(scores)` kept candidates; the others follow, without a score."""
    judged = [
        Ranked(r.candidate, r.position, finite(score), r.criteria, r.reason, r.lifted_by, r.compressed)
        for r, score in zip_longest(ranking.kept, scores)
    ]
    return ranking.scored(judged, scale)


def read(answers: Sequence[Any], value: Callable[[Any], float | None]) -> tuple[list[float | None], list[Any]]:
    """The value of each answer, `None` where there is none, and the failures, aligned (`None` where all is well)."""
    values: list[float | None] = []
    failures: list[Failure | None] = []
    for answer in answers:
        number = None if isinstance(answer, Failure) else finite(value(answer))
        values.append(number)
        if isinstance(answer, Failure):
            failures.append(answer)
        else:
            failures.append(UNUSABLE if number is None else None)
    return values, failures


def failure_notices(by: str, judged: Sequence[Ranked], failures: Sequence[Failure | None]) -> list[Notice]:
    """One notice per kind of failure, naming the candidates it left unjudged."""
    groups: dict[Failure, list[int]] = {}
    for ranked, failure in zip(judged, failures, strict=True):
        if failure is not None:
            groups.setdefault(failure, []).append(ranked.position)
    return [
        Notice(
            f"{by}: {len(positions)} of {len(judged)} candidates were not judged ({failure}); "
            "they keep their incoming order",
            tuple(positions),
        )
        for failure, positions in groups.items()
    ]
