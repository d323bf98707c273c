"""A window that slides from the end of the list to its head."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


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
) -> Generator[tuple[T, ...], Sequence[T], list[T]]:
    """Order `items` by asking for the order of overlapping windows, from the back to the front.

    Yields a window, receives its items in the wanted order, best first. With a perfect judge the best
    `passes * (size - stride)` places come out right. Calls: `passes * (1 + ceil((n - size) / stride))` for n > size,
    `passes` for 2 <= n <= size, none below. Source: RankGPT (Sun et al., 2023), with the head clamped.
    """
    order = list(items)
    for _ in range(passes):
        for window in windows(len(order), size, stride):
            order[window] = yield tuple(order[window])
    return order
