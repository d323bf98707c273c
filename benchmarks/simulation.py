"""Schedules with judges that err in known ways: no model, no prompt, only who is put before the judge and what it says.

>>> from tamis.schedules import Sliding
>>> played((Step(Sliding(), "list"),), [float(-place) for place in range(30)], KINDS["exact"], seed=0).calls
2
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import log2
from random import Random
from typing import Any, Literal

from tamis.schedules import Schedule, complete

Unit = Literal["point", "group", "pair", "set", "list"]
GRADE = 0.5
"""A grade of a group judge is worth so many standard deviations; likelier labels and lists know no such steps."""


class Reader:
    """Judges passages of one query by their true worth, with the error of its kind (`sigma`, in the standard deviation
    of worth).

    The base reads without error. `compared`: whether it is asked which is better rather than how good each is.
    """

    def __init__(self, worth: Sequence[float], rng: Random, sigma: float = 0.0) -> None:
        self.worth, self.rng, self.sigma = worth, rng, sigma

    def sees(self, shown: Sequence[int], compared: bool) -> list[float]:
        return [self.worth[place] for place in shown]


class Anew(Reader):
    """Errs anew in each question, by as much whatever it is asked."""

    def sees(self, shown: Sequence[int], compared: bool) -> list[float]:
        return [self.worth[place] + self.rng.gauss(0, self.sigma) for place in shown]


class Steady(Reader):
    """Misreads each passage once and for all: asking again does not help."""

    def __init__(self, worth: Sequence[float], rng: Random, sigma: float) -> None:
        super().__init__([value + rng.gauss(0, sigma) for value in worth], rng, sigma)


class Crowded(Reader):
    """Errs anew, and more the more it is shown: by `sigma` alone, twice that for two, and once more for each further
    doubling (5.3 times for twenty)."""

    def sees(self, shown: Sequence[int], compared: bool) -> list[float]:
        error = self.sigma * (1 + log2(len(shown)))
        return [self.worth[place] + self.rng.gauss(0, error) for place in shown]


class Placing(Reader):
    """Errs anew by a quarter, and favours what is shown first: by `sigma` more than what is shown last."""

    def sees(self, shown: Sequence[int], compared: bool) -> list[float]:
        last = max(1, len(shown) - 1)
        return [
            self.worth[place] + self.rng.gauss(0, 0.25) + self.sigma * (1 - index / last)
            for index, place in enumerate(shown)
        ]


class Circular(Steady):
    """Not transitive: for every pair it is fixed which is preferred, each with an error of its own, so that a may beat
    b, b beat c and c beat a, however often it is asked. Sets and lists are sorted by those preferences, one passage
    after the other put in its place. Single passages are misread once and for all."""

    def __init__(self, worth: Sequence[float], rng: Random, sigma: float) -> None:
        super().__init__(worth, rng, sigma)
        self.true, self.fixed = worth, dict[tuple[int, int], float]()

    def sees(self, shown: Sequence[int], compared: bool) -> list[float]:
        if not compared:
            return super().sees(shown, compared)
        order: list[int] = []
        for place in shown:
            low, high = 0, len(order)
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if self._prefers(place, order[middle]) else (middle + 1, high)
            order.insert(low, place)
        rank = {place: -float(index) for index, place in enumerate(order)}
        return [rank[place] for place in shown]

    def _prefers(self, one: int, other: int) -> bool:
        low, high = min(one, other), max(one, other)
        if (low, high) not in self.fixed:
            self.fixed[low, high] = self.rng.gauss(0, self.sigma * 2**0.5)
        return (self.true[low] - self.true[high] + self.fixed[low, high] > 0) == (one == low)


Kind = Callable[[Sequence[float], Random], Reader]
KINDS: dict[str, Kind] = {
    "exact": Reader,
    "anew .25": partial(Anew, sigma=0.25),
    "anew .5": partial(Anew, sigma=0.5),
    "anew 1": partial(Anew, sigma=1.0),
    "steady .5": partial(Steady, sigma=0.5),
    "crowded .25": partial(Crowded, sigma=0.25),
    "places .5": partial(Placing, sigma=0.5),
    "circular .5": partial(Circular, sigma=0.5),
}


@dataclass(frozen=True)
class Step:
    """A schedule over the first `depth` places, with a judge of `unit`s of which each question is asked `times` over,
    the passages shuffled, and its orders merged by their mean places."""

    schedule: Schedule
    unit: Unit
    depth: int | None = None
    top: int | None = 10
    times: int = 1


@dataclass
class Played:
    """`order` of all places, and what it took: model calls, passages in them, and rounds in sequence."""

    order: list[int] = field(default_factory=list)
    calls: int = 0
    read: int = 0
    rounds: int = 0


def played(method: Sequence[Step], worth: Sequence[float], kind: Kind, seed: int) -> Played:
    """Run a method's steps, one on what the other left."""
    found = Played(list(range(len(worth))))
    reader = kind(worth, Random(f"judge {seed}"))
    for step in method:
        _play(step, found, reader)
    return found


def _play(step: Step, found: Played, reader: Reader) -> None:
    head = found.order[: step.depth]
    plan = step.schedule.run(len(head), step.top)
    try:
        batch = next(plan)
        while True:
            rounds = found.rounds
            answers = [_answer(step, [head[place] for place in shown], shown, found, reader) for shown in batch]
            # A knock-out of pairs asks one pair after the other; all else of a batch is asked at once.
            knockout = step.unit == "pair" and step.schedule.answers == "order"
            found.rounds = rounds + (max(len(shown) - 1 for shown in batch) if knockout else 1)
            batch = plan.send(answers)
    except StopIteration as stop:
        found.order[: len(head)] = [head[place] for place in stop.value.order]


def _answer(step: Step, places: list[int], shown: Sequence[int], found: Played, reader: Reader) -> Any:
    if step.unit == "pair":
        return _paired(step, places, shown, found, reader)
    orders = []
    seen: list[float] = []
    for time in range(step.times):
        dealt = list(range(len(places)))
        if time:
            reader.rng.shuffle(dealt)
        seen = _asked([places[index] for index in dealt], found, reader, step.unit in ("set", "list"))
        orders.append([dealt[i] for i in sorted(range(len(dealt)), key=lambda i: -seen[i])])
    if step.schedule.answers == "scores":
        return [round(value / GRADE) for value in seen] if step.unit == "group" else seen
    total = [sum(order.index(index) for order in orders) for index in range(len(places))]
    return [shown[index] for index in sorted(range(len(places)), key=total.__getitem__)]


def _paired(step: Step, places: list[int], shown: Sequence[int], found: Played, reader: Reader) -> Any:
    """Both orders of each pair: 1 or 0 where they agree, else a tie. More than two are a knock-out."""
    best = 0
    for other in range(1, len(places)):
        pair = (places[best], places[other])
        first, second = (_asked(order, found, reader, True) for order in (pair, pair[::-1]))
        votes = (first[0] > first[1]) + (second[1] > second[0])
        if step.schedule.answers == "preferences":
            return votes / 2
        best = other if votes == 0 else best
    return complete(shown, [shown[best]])


def _asked(places: Sequence[int], found: Played, reader: Reader, compared: bool) -> list[float]:
    found.calls += 1
    found.read += len(places)
    return reader.sees(places, compared)


def frontier(points: dict[str, tuple[float, float]]) -> set[str]:
    """Names of the (cost, effectiveness) that no cheaper or equally cheap one reaches.

    >>> sorted(frontier({"a": (1, 0.5), "b": (2, 0.4), "c": (3, 0.9)}))
    ['a', 'c']
    """
    ranked = sorted(points, key=lambda name: (points[name][0], -points[name][1]))
    best, found = float("-inf"), set()
    for name in ranked:
        if points[name][1] > best:
            best = points[name][1]
            found.add(name)
    return found
