"""Tournaments: winners of groups meet again."""

from __future__ import annotations

from itertools import repeat
from random import Random
from typing import ClassVar

from pydantic import PositiveInt

from tamis.errors import ConfigError
from tamis.parts.numbers import Samples, ShareBetween, TwoOrMore
from tamis.parts.part import part
from tamis.schedules.base import Running, Schedule, Shown, by_score, complete, first, wanted


@part
class Knockout(Schedule):
    """Groups of `size` send their best `keep` up, until one group is left whose best is the winner; it leaves, and the
    next winner is sought among the rest.

    Exact: the first `top` places. Answers are kept by the set of their members, so that after a winner left only its
    path is asked again: about n / size questions for all groups, then one or two a level for each further place
    (`calls` is the most it can be). Source: ListT5 (Yoon et al., 2024), size 5, keep 1 or 2.
    """

    size: TwoOrMore = 5
    keep: PositiveInt = 1

    def __post_init__(self) -> None:
        if 2 * self.keep > self.size:
            raise ConfigError(f"Knockout: keep {self.keep} must be at most half of size {self.size}")

    def run(self, n: int, top: int | None = None) -> Running:
        known: dict[Shown, list[int]] = {}
        gone: list[int] = []
        while len(gone) < wanted(n, top):
            left = set(range(n)).difference(gone)
            slots: list[int | None] = [place if place in left else None for place in range(n)]
            while True:
                members = [
                    tuple(sorted(place for place in slots[start : start + self.size] if place is not None))
                    for start in range(0, len(slots), self.size)
                ]
                new = [group for group in members if len(group) > 1 and group not in known]
                if new:
                    known.update(zip(new, map(complete, new, (yield new)), strict=True))
                ranked = [known.get(group, list(group)) for group in members]
                if len(ranked) == 1:
                    break
                slots = [place for group in ranked for place in (*group, *[None] * self.keep)[: self.keep]]
            gone.append(ranked[0][0])
        return first(gone, n)

    def _levels(self, n: int) -> list[int]:
        """Groups on each level. A winner that leaves changes one, and on the next level all that its places reach."""
        counts = [-(-n // self.size)]
        while counts[-1] > 1:
            counts.append(-(-counts[-1] * self.keep // self.size))
        return counts

    def calls(self, n: int, top: int | None = None) -> int:
        if n < 2 or not wanted(n, top):
            return 0
        levels = self._levels(n)
        path, touched = [1], 1
        for count in levels[1:]:
            touched = min(count, (touched * self.keep - 2) // self.size + 2)
            path.append(touched)
        return sum(levels) + (wanted(n, top) - 1) * sum(path)

    def exact(self, n: int, top: int | None = None) -> int:
        return wanted(n, top)

    @property
    def width(self) -> int:
        return self.size


@part
class Staged(Schedule):
    """Stages of groups: of each group the judge names those that go on, and every stage survived is a point. `repeats`
    tournaments with other orders inside the groups run at the same time; places are sorted by points, ties as they came
    in.

    Groups are dealt out in turn, so that each spans all ranks. `stages`: (groups, share that survives) of each stage,
    for any n (groups are added where one would hold more than `size`); default: halving until one is left. Exact: the
    first place, when the last stage leaves one; of the others only as many are safe as every group lets through. Calls,
    exactly: `repeats` times the groups of more than one. Source: TourRank (Chen et al., 2024), whose own stages for
    n = 100 are `((5, .5), (5, .4), (1, .5), (1, .5), (1, .4))`: 13 calls in 5 rounds.
    """

    takes_top: ClassVar[bool] = False
    points: ClassVar[bool] = True
    size: TwoOrMore = 20
    repeats: Samples = 1
    stages: tuple[tuple[PositiveInt, ShareBetween], ...] | None = None
    seed: int = 0

    def run(self, n: int, top: int | None = None) -> Running:
        points = [0.0] * n
        alive = [list(range(n)) for _ in range(self.repeats)]
        for stage, (count, survivors) in enumerate(self._plan(n)):
            asked: list[tuple[int, Shown, int]] = []
            for round_, places in enumerate(alive):
                dealt = [places[start::count] for start in range(count)]
                for index, (group, keep) in enumerate(zip(dealt, _shares(survivors, dealt), strict=True)):
                    if round_:
                        Random(f"{self.seed}:{round_}:{stage}:{index}").shuffle(group)
                    asked.append((round_, tuple(group), keep))
            open_ = [shown for _, shown, keep in asked if 0 < keep < len(shown)]
            answers = iter((yield open_)) if open_ else iter(())
            alive = [[] for _ in range(self.repeats)]
            for round_, shown, keep in asked:
                best = complete(sorted(shown), next(answers)) if 0 < keep < len(shown) else list(shown)
                for place in best[:keep]:
                    points[place] += 1
                    alive[round_].append(place)
            for places in alive:
                places.sort()
        return by_score(points)

    def _plan(self, n: int) -> list[tuple[int, int]]:
        """(groups, survivors) of each stage."""
        plan: list[tuple[int, int]] = []
        for groups, share in self.stages or repeat((1, 0.5)):
            if n < 2:
                break
            needed = -(-n // self.size)
            survivors = min(n - 1, max(needed, round(n * share), 1))
            plan.append((max(needed, min(groups, survivors)), survivors))
            n = survivors
        return plan

    def calls(self, n: int, top: int | None = None) -> int:
        total, alive = 0, n
        for count, survivors in self._plan(n):
            dealt = [range(alive)[start::count] for start in range(count)]
            total += sum(0 < keep < len(group) for group, keep in zip(dealt, _shares(survivors, dealt), strict=True))
            alive = survivors
        return self.repeats * total

    def exact(self, n: int, top: int | None = None) -> int:
        plan = self._plan(n)
        return int(n > 0) if not plan or plan[-1][1] == 1 else 0

    @property
    def width(self) -> int:
        return self.size


def _shares(survivors: int, dealt: list[list[int]] | list[range]) -> list[int]:
    """How many of each group go on, so that `survivors` do in all; earlier groups first where it is not even."""
    base, extra = divmod(survivors, len(dealt))
    return [min(len(group), base + (index < extra)) for index, group in enumerate(dealt)]
