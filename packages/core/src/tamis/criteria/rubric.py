"""All rubric criteria of all candidates, graded in batches by one model and made comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tamis.criteria.criterion import Criterion
from tamis.judges.questions.rubric import Grades, parse_rubric, rubric_call
from tamis.prompts.orders import uncut
from tamis.prompts.parsing import within
from tamis.values.answers import Failure, Generated, unread
from tamis.values.calls import Asking
from tamis.values.ranking import Query, Ranked


@dataclass(frozen=True)
class Sheet:
    """Grades of `n` candidates: by criterion name a list of scores in 0..max (`None`: not graded), reasons,
    failures."""

    grades: dict[str, list[float | None]]
    reasons: list[str | None]
    failures: list[Failure | None]


@dataclass(frozen=True)
class RubricJudge:
    """How a model grades. `anchors` candidates from the top of the list are shown again in every later batch."""

    model: Any
    criteria: Sequence[Criterion]
    batch_size: int = 10
    anchors: int = 1
    passage_tokens: int = 512
    reasons: bool = True

    def sheet(self, query: Query, head: Sequence[Ranked]) -> Asking[Sheet]:
        """Grade all of `head`: ceil(n / batch_size) calls in one round, and a second round for what came back
        unread."""
        batches = [_Batch(group) for group in self._groups(len(head))]
        answers = yield [self._call(query, head, batch.shown) for batch in batches]
        for batch, answer in zip(batches, answers, strict=True):
            batch.read(answer, batch.shown, self.criteria)
        again = [batch for batch in batches if batch.missing and batch.failure is None]
        if again:
            answers = yield [self._call(query, head, batch.missing, attempt=1) for batch in again]
            for batch, answer in zip(again, answers, strict=True):
                batch.read(answer, batch.missing, self.criteria)
        self._align(batches)
        return self._collect(batches, len(head))

    def _groups(self, count: int) -> list[tuple[list[int], list[int]]]:
        """Per batch: the candidates it grades, and the anchors shown to it besides."""
        starts = range(0, count, self.batch_size)
        groups = [list(range(start, min(count, start + self.batch_size))) for start in starts]
        anchors = list(range(min(self.anchors, self.batch_size, count)))
        return [(group, anchors if number else []) for number, group in enumerate(groups)]

    def _call(self, query: Query, head: Sequence[Ranked], shown: Sequence[int], attempt: int = 0) -> Any:
        return rubric_call(
            self.model,
            query,
            [head[index].candidate.full_text for index in shown],
            self.criteria,
            max_tokens=self.passage_tokens,
            reasons=self.reasons,
            attempt=attempt,
        )

    def _align(self, batches: Sequence[_Batch]) -> None:
        """Shift each later batch, criterion by criterion, by the median difference its anchors show to the first
        batch."""
        for batch in batches[1:]:
            for criterion in self.criteria:
                shift = _anchor_shift(batches[0], batch, criterion.name)
                if shift:
                    batch.shift(criterion, shift)

    def _collect(self, batches: Sequence[_Batch], count: int) -> Sheet:
        sheet = Sheet({c.name: [None] * count for c in self.criteria}, [None] * count, [None] * count)
        for batch in batches:
            for place in batch.own:
                if place in batch.grades:
                    for name, grade in batch.grades[place].items():
                        sheet.grades[name][place] = grade
                    sheet.reasons[place] = batch.reasons.get(place)
                else:
                    sheet.failures[place] = batch.failure or unread("the answer held no grade for it", batch.last)
        return sheet


@dataclass
class _Batch:
    """One group of candidates with what has been read of it so far."""

    group: tuple[list[int], list[int]]
    grades: dict[int, dict[str, float]] = field(default_factory=dict)
    reasons: dict[int, str | None] = field(default_factory=dict)
    failure: Failure | None = None
    last: Generated = field(default_factory=lambda: Generated(""))

    @property
    def own(self) -> list[int]:
        return self.group[0]

    @property
    def shown(self) -> list[int]:
        return [*self.group[1], *self.group[0]]

    @property
    def missing(self) -> list[int]:
        return [place for place in self.own if place not in self.grades]

    def read(self, answer: Any, shown: Sequence[int], criteria: Sequence[Criterion]) -> None:
        if isinstance(answer, Failure):
            self.failure = answer
            return
        self.last = answer
        first = criteria[0].name
        for number, (grades, reason) in parse_rubric(uncut(answer), criteria, len(shown)).items():
            if first in grades and shown[number] not in self.grades:
                self.grades[shown[number]] = dict(grades)
                self.reasons[shown[number]] = reason

    def shift(self, criterion: Criterion, by: float) -> None:
        graded = [grades for grades in self.grades.values() if criterion.name in grades]
        shifted = within([grades[criterion.name] + by for grades in graded], 0.0, criterion.max)
        for grades, grade in zip(graded, shifted, strict=True):
            grades[criterion.name] = grade


def _anchor_shift(first: _Batch, batch: _Batch, name: str) -> float:
    def grade(grades: Grades | None) -> float | None:
        return None if grades is None else grades.get(name)

    pairs = [(grade(first.grades.get(place)), grade(batch.grades.get(place))) for place in batch.group[1]]
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    return median(differences) if differences else 0.0
