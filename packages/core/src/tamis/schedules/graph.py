"""A graph of known preferences, and a schedule that asks until the top follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from tamis.parts.numbers import TwoOrMore
from tamis.parts.part import part
from tamis.schedules.base import Running, Schedule, Shown, complete, first, level, wanted


class Better:
    """Known preferences over places 0..n-1 and all that follows from them. Places in a cycle count as equals."""

    def __init__(self, n: int) -> None:
        self.above = [0] * n
        self.below = [0] * n

    def add(self, order: Sequence[int]) -> None:
        """Each place of `order` is better than the next."""
        for better, worse in pairwise(order):
            if not self.below[better] >> worse & 1:
                up, down = self.above[better] | 1 << better, self.below[worse] | 1 << worse
                for place in _bits(up):
                    self.below[place] |= down
                for place in _bits(down):
                    self.above[place] |= up

    def comparable(self, place: int) -> int:
        """The places known to be better, worse or equal, as bits; itself included."""
        return self.above[place] | self.below[place] | 1 << place

    def losses(self, place: int) -> int:
        """How many are known to be better and not equal."""
        return (self.above[place] & ~self.below[place]).bit_count()

    def order(self) -> list[int]:
        """Fewest losses first, then most known to be worse, then as they came in."""
        places = range(len(self.above))
        return sorted(places, key=lambda i: (self.losses(i), -(self.below[i] & ~self.above[i]).bit_count()))


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


@part
class TournamentGraph(Schedule):
    """Every answer over `size` places tells size * (size - 1) / 2 preferences; with what follows from them it asks only
    until the first `top` places are certain.

    Exact: the first `top` places. One round of disjoint groups, then one question at a time: the open places with the
    fewest known superiors, as many as can be that are not comparable yet. Each question settles at least one pair;
    `calls` is that loose bound. Contradictory answers make cycles, which count as ties. Source: BlitzRank (Agrawal et
    al., 2026).
    """

    size: TwoOrMore = 20

    def run(self, n: int, top: int | None = None) -> Running:
        known = Better(n)
        asked: list[Shown] = [shown for shown in level(range(n), self.size) if len(shown) > 1] if n > 1 else []
        if not asked and n > 1:
            asked = [tuple(range(n))]
        while asked:
            answers = yield asked
            if not any(answers):
                break
            for shown, answer in zip(asked, answers, strict=True):
                known.add(complete(shown, answer) if answer else ())
            question = self._next(known, n, wanted(n, top))
            asked = [question] if question else []
        return first(known.order(), n)

    def _next(self, known: Better, n: int, top: int) -> Shown:
        """The open places to compare next; none when the first `top` are certain."""
        alive = [place for place in range(n) if known.losses(place) < top]
        everyone = sum(1 << place for place in alive)
        open_ = {place: everyone & ~known.comparable(place) for place in alive}
        waiting = sorted((place for place in alive if open_[place]), key=known.losses)
        if not waiting:
            return ()
        chosen, mask = [waiting[0]], 1 << waiting[0]
        while len(chosen) < self.size:
            rest = [place for place in waiting if not mask >> place & 1 and open_[place] & mask]
            if not rest:
                break
            best = max(rest, key=lambda place: ((open_[place] & mask).bit_count(), -known.losses(place), -place))
            chosen.append(best)
            mask |= 1 << best
        return tuple(sorted(chosen))

    def calls(self, n: int, top: int | None = None) -> int:
        if n <= self.size:
            return int(n > 1)
        together = -(-n // self.size)
        return together + n * (n - 1) // 2 - (n - together)

    def exact(self, n: int, top: int | None = None) -> int:
        return wanted(n, top)

    @property
    def width(self) -> int:
        return self.size
