"""What every judge is: one question about some candidates, and what is read from the answer. Knows no schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Annotated, Any, ClassVar, Literal

from tamis.parts.family import Family
from tamis.values.answers import Failure
from tamis.values.calls import Asking, Call, Capability, Classify, together
from tamis.values.images import sendable
from tamis.values.ranking import Query, Ranked
from tamis.values.scale import ORDINAL, Scale

Unit = Literal["point", "pair", "set", "group", "list"]
Form = Literal["clean", "permissive", "none"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a judge is asked: whose opinion, on which query, about which candidates, in the order shown.

    `scores`: first-stage scores by position, 0..100 within the query, for judges that show them.
    """

    model: Any
    query: Query
    shown: tuple[Ranked, ...]
    scores: Mapping[int, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.shown)

    def pictures(self, of: Query | Ranked) -> tuple[str, ...]:
        """The pictures of the query or a candidate that the model may be sent."""
        return sendable(self.model, of.images if isinstance(of, Query) else of.candidate.images)

    def of(self, places: Sequence[int]) -> Asked:
        """The same question about some of the candidates, in another order."""
        return Asked(self.model, self.query, tuple([self.shown[place] for place in places]), self.scores)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one question. All indices are into the candidates shown.

    `order`: those it could place, best first; the rest is open. `scores`: one for each shown (`None`: no score).
    `form`: how well the answer kept to what was asked for. `missing`: those that should have been judged and were not,
    because of `failure`. `mass`: the probability that the labels hold together. `agreed`: whether both orders of a pair
    gave the same winner. Never an exception, never a made-up score.
    """

    order: tuple[int, ...] = ()
    scores: tuple[float | None, ...] | None = None
    form: Form = "clean"
    missing: tuple[int, ...] = ()
    failure: Failure | None = None
    mass: float | None = None
    agreed: bool | None = None

    @classmethod
    def none(cls, count: int, failure: Failure) -> Verdict:
        """Nothing could be read for any of `count` candidates."""
        return cls(form="none", missing=tuple(range(count)), failure=failure, scores=None)

    @classmethod
    def scored(cls, scores: Sequence[float | None], form: Form = "clean", mass: float | None = None) -> Verdict:
        """From one score each: the order is by score, ties as shown; what has no score is missing."""
        if len(scores) == 1 and scores[0] is not None:
            return cls((0,), (scores[0],), form, mass=mass)
        known = [index for index, score in enumerate(scores) if score is not None]
        order = tuple(sorted(known, key=lambda index: -(scores[index] or 0.0)))
        missing = tuple(index for index, score in enumerate(scores) if score is None)
        failure = Failure("malformed", "the answer held no usable number") if missing else None
        return cls(order, tuple(scores), form if known else "none", missing, failure, mass)

    @property
    def usable(self) -> bool:
        return self.form != "none"

    def back(self, places: Sequence[int]) -> Verdict:
        """The same verdict over candidates that were shown in the order `places`."""
        scores = None
        if self.scores is not None:
            found = dict(zip(places, self.scores, strict=True))
            scores = tuple(found[index] for index in range(len(places)))
        order = tuple(places[index] for index in self.order)
        return replace(self, order=order, scores=scores, missing=tuple(sorted(places[i] for i in self.missing)))


PICTURES = "images"
"""Among the features a judge shows: the pictures of query and candidates."""


def pictured(call: Any, asked: Asked, show: Sequence[str]) -> Any:
    """`call` with the pictures of the query and of those shown at its last user turn, in the order of their numbers."""
    shown = [image for ranked in asked.shown for image in asked.pictures(ranked)]
    images = (*asked.pictures(asked.query), *shown) if PICTURES in show else ()
    if not images or not hasattr(call, "messages"):
        return call
    last = max(place for place, message in enumerate(call.messages) if message.role == "user")
    turns = [replace(m, images=images) if place == last else m for place, m in enumerate(call.messages)]
    return replace(call, messages=tuple(turns))


class Judge(ABC):
    """Prompt, readout and parser of one kind of question, standing together.

    Judges are frozen parts; `ask` is a plan that yields calls and returns a `Verdict`. Any judge of a unit fits any
    schedule that shows such units.
    """

    @property
    @abstractmethod
    def unit(self) -> Unit:
        """What one question looks at: one candidate, two, a set to pick from, a group to grade, a list to order."""

    @abstractmethod
    def ask(self, asked: Asked) -> Asking[Verdict]:
        """Ask about all that is shown. Never raises for what a model wrote."""

    def ask_all(self, questions: Sequence[Asked]) -> Asking[list[Verdict]]:
        """Several questions at the same time."""
        return together([self.ask(asked) for asked in questions])

    @property
    @abstractmethod
    def needs(self) -> tuple[Capability, ...]:
        """What the model must be able to do."""

    def scale(self, model: Any) -> Scale:
        """Of the scores in its verdicts."""
        return ORDINAL

    @property
    def most(self) -> int | None:
        """The most candidates one question can show; `None`: no limit but the model's context."""
        return 1 if self.unit == "point" else None


JUDGES = Family("judge", Judge, "tamis.judges", "judge", "tamis.judges")
JudgeRef = Annotated[Judge, *JUDGES]
"""Field type: a judge, its name or its plain data."""


def innermost(judge: Any) -> Any:
    """The judge that words the question, inside those that wrap it (thinking, repetition)."""
    while hasattr(judge, "judge"):
        judge = judge.judge
    return judge


class OneCall(Judge):
    """A judge whose question is one call.

    Ladder, as far as `attempts` allow: an answer that can be read, cleanly or with some tolerance; else the same
    question again with the candidates in another order and a sterner last line; else no verdict. A `Failure` of the
    engine, which has retried already, ends it at once, and its text is never read as an answer.
    """

    attempts: ClassVar[int] = 1

    @abstractmethod
    def call(self, asked: Asked, attempt: int = 0) -> Call: ...

    @abstractmethod
    def read(self, answer: Any, count: int) -> Verdict:
        """What an answer (never a `Failure`) says of `count` candidates."""

    def _call(self, asked: Asked, attempt: int = 0) -> Call:
        called: Call = pictured(self.call(asked, attempt), asked, getattr(self, "show", ()))
        if isinstance(called, Classify):  # A number is usable unless it is NaN, which no cache keeps.
            return called
        return replace(called, usable=partial(self._usable, count=len(asked)))

    def _usable(self, answer: Any, count: int) -> bool:
        return self.read(answer, count).usable

    def ask(self, asked: Asked) -> Asking[Verdict]:
        verdict = Verdict.none(len(asked), Failure("malformed", "nothing was asked"))
        for attempt in range(self.attempts):
            places = list(range(len(asked)))
            if attempt:
                Random(attempt).shuffle(places)
            (answer,) = yield [self._call(asked.of(places), attempt)]
            if isinstance(answer, Failure):
                return Verdict.none(len(asked), answer)
            verdict = self.read(answer, len(asked)).back(places)
            if verdict.usable:
                break
        return verdict

    def ask_all(self, questions: Sequence[Asked]) -> Asking[list[Verdict]]:
        if self.attempts > 1:
            return (yield from super().ask_all(questions))
        answers = yield [self._call(asked) for asked in questions]
        return [
            Verdict.none(len(asked), answer) if isinstance(answer, Failure) else self.read(answer, len(asked))
            for asked, answer in zip(questions, answers, strict=True)
        ]
