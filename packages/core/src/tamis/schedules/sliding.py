"""A window that slides from the end of the list to its head."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterator, Sequence
from typing import ClassVar, TypeVar

from pydantic import PositiveInt

from tamis.errors import ConfigError
from tamis.parts.numbers import Samples, TwoOrMore
from tamis.parts.part import part
from tamis.schedules.base import One, Placed, Running, Schedule, complete, one_by_one

T = TypeVar("T", bound=Hashable)


def windows(n: int, size: int, stride: int) -> Iterator[slice]:
    """Windows over `n` places, last first; the one at the head is clamped to start at 0 and is as wide as the others.

    >>> [(w.start, w.stop) for w in windows(25, 10, 6)]
    [(15, 25), (9, 19), (3, 13), (0, 10)]
    """
    start = max(0, n - size)
    while n > 1:
        yield slice(start, min(n, start + size))
        if start == 0:
            return
        start = max(0, start - stride)


def sliding(
    items: Sequence[T], size: int = 20, stride: int = 10, passes: int = 1
) -> Generator[tuple[T, ...], Sequence[T] | None, list[T]]:
    """Order `items` by asking for the order of overlapping windows, from the back to the front.

    Yields a window, receives its items in the wanted order, best first. With a perfect judge the best
    `passes * (size - stride)` places come out right. Calls: `passes * (1 + ceil((n - size) / stride))` for n > size,
    `passes` for 2 <= n <= size, none below. Source: RankGPT (Sun et al., 2023), with the head clamped.
    """
    order = list(items)
    for _ in range(passes):
        for window in windows(len(order), size, stride):
            shown = tuple(order[window])
            order[window] = complete(shown, (yield shown))
    return order


@part
class Sliding(Schedule):
    """Windows of `size` from the back to the front, `stride` apart, `passes` times. One window at a time.

    Exact: the first `passes * (size - stride)` places; all when one window holds all. Calls, exactly:
    `passes * (1 + ceil((n - size) / stride))` for n > size, `passes` for 2 <= n <= size. A pass lifts a place at most
    to the front of the list, but no more than `size - stride` good ones through each window; more good ones than that
    stay trapped behind. Source: RankGPT (Sun et al., 2023), with the head clamped.
    """

    takes_top: ClassVar[bool] = False
    size: TwoOrMore = 20
    stride: PositiveInt = 10
    passes: Samples = 1

    def __post_init__(self) -> None:
        if self.stride > self.size:
            raise ConfigError(f"stride {self.stride} must not exceed window {self.size}, or passages are skipped")

    def run(self, n: int, top: int | None = None) -> Running:
        return one_by_one(self._windows(n))

    def _windows(self, n: int) -> One:
        return Placed((yield from sliding(range(n), self.size, self.stride, self.passes)))

    def calls(self, n: int, top: int | None = None) -> int:
        return self.passes * sum(1 for _ in windows(n, self.size, self.stride))

    def exact(self, n: int, top: int | None = None) -> int:
        return n if n <= self.size else min(n, self.passes * (self.size - self.stride))

    @property
    def width(self) -> int:
        return self.size
