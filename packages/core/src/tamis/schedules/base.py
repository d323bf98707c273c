"""What every schedule is: a plan of questions over places, that knows nothing of prompts, models or queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from tamis.parts.family import Family
from tamis.values.ranking import finite

T = TypeVar("T", bound=Hashable)
Shown = tuple[int, ...]
"""Places put before the judge together, in the order they are shown."""

Answers = Literal["order", "scores", "preferences"]


@dataclass(frozen=True, slots=True)
class Placed:
    """What a schedule found: every place once, best first, and a score for each of places 0..n-1 where it has scores.

    `None` among the scores: nothing could be said of that place.
    """

    order: Sequence[int]
    scores: Sequence[float | None] | None = None


Running = Generator[list[Shown], Sequence[Any], Placed]
"""Yields a batch of tuples of places, receives one answer a tuple, returns what was `Placed`."""

One = Generator[Shown, Any, Placed]
"""The same for schedules that ask one question at a time."""


class Schedule(ABC):
    """Which questions to ask, in what order, and how the answers become one ranking.

    A schedule ranks places 0..n-1, numbered in the order the candidates came in. `answers` says what it wants of a
    judge for each tuple: an `"order"` (the shown places best first; those left out come last, in the order shown),
    `"scores"` (a number or `None` for each), or `"preferences"` (how likely the first of two is the better, 0..1).
    `None` for an answer means there is none and there may be none for the rest; a schedule then goes on with the order
    it has, so that a caller that stops answering gets the best order so far. Whatever the answers, the result holds
    each place once.

    Size of the questions: `width`. All in `Schedule` is arithmetic; nothing here asks anything.
    """

    answers: ClassVar[Answers] = "order"
    points: ClassVar[bool] = False
    """Whether scores are the schedule's own sums rather than means of the judge's scores."""
    takes_top: ClassVar[bool] = True
    """Whether `top` changes what is asked."""

    @abstractmethod
    def run(self, n: int, top: int | None = None) -> Running:
        """Rank `n` places; only the first `top` have to be right (`None`: all)."""

    @abstractmethod
    def calls(self, n: int, top: int | None = None) -> int:
        """Tuples asked for. Exact where the docstring says so, else the most it can be."""

    @abstractmethod
    def exact(self, n: int, top: int | None = None) -> int:
        """How many of the first places are certainly right if the judge never errs."""

    @property
    @abstractmethod
    def width(self) -> int | None:
        """The most places in one tuple; `None`: all there are."""


SCHEDULES = Family("schedule", Schedule, "tamis.schedules", "schedule", "tamis.schedules", {"tournament": "Knockout"})
ScheduleRef = Annotated[Schedule, *SCHEDULES]
"""Field type: a schedule, its name or its plain data."""


def wanted(n: int, top: int | None) -> int:
    """How many places must be right: `top`, or all `n`."""
    return n if top is None else min(n, top)


def complete(shown: Sequence[T], answer: Iterable[Any] | None) -> list[T]:
    """`shown`, those named in `answer` first: each once, strangers ignored, the rest in the order shown.

    >>> complete((4, 7, 9), [9, 9, 2])
    [9, 4, 7]
    """
    own = {item: item for item in shown}
    named = dict.fromkeys(own[item] for item in answer or () if item in own)
    return [*named, *(item for item in shown if item not in named)]


def preference(answer: Any) -> float:
    """A preference within 0..1; one half where there is none."""
    value = finite(answer) if isinstance(answer, (int, float)) else None
    return 0.5 if value is None else min(1.0, max(0.0, value))


def aligned(shown: Shown, answer: Sequence[Any] | None) -> list[float | None]:
    """One finite score or `None` for each place shown."""
    if answer is None or len(answer) != len(shown):
        return [None] * len(shown)
    return [finite(value) if isinstance(value, (int, float)) else None for value in answer]


def by_score(scores: Sequence[float | None]) -> Placed:
    """Places by score, best first, ties in incoming order; places without a score stay where they are."""
    best = iter(sorted((i for i, s in enumerate(scores) if s is not None), key=lambda i: -(scores[i] or 0.0)))
    return Placed([i if s is None else next(best) for i, s in enumerate(scores)], scores)


def first(order: Iterable[int], n: int) -> Placed:
    """The places in `order`, then all others as they came in."""
    return Placed(complete(range(n), order))


def one_by_one(plan: One) -> Running:
    """A plan of single questions as a plan of batches."""
    try:
        shown = next(plan)
        while True:
            (answer,) = yield [shown]
            shown = plan.send(answer)
    except StopIteration as stop:
        return stop.value


def groups(places: Sequence[T], size: int) -> list[tuple[T, ...]]:
    """Consecutive groups of at most `size`.

    >>> groups("abcde", 2)
    [('a', 'b'), ('c', 'd'), ('e',)]
    """
    return [tuple(places[start : start + size]) for start in range(0, len(places), size)]


def level(places: Sequence[T], size: int) -> list[tuple[T, ...]]:
    """As few groups as groups of at most `size` allow, as even as they come, each spanning all of `places`: the j-th
    place goes to group j mod count. Mixed groups judge better than neighbours (GroupRank, 2025).

    >>> level("abcde", 2)
    [('a', 'd'), ('b', 'e'), ('c',)]
    """
    count = -(-len(places) // size)
    return [tuple(places[start::count]) for start in range(count)]
