"""Sorts that only bring the best to the front: heap and bubble, any number of places at a time."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pydantic import PositiveInt

from tamis.parts.part import part
from tamis.schedules.base import One, Running, Schedule, Shown, complete, first, one_by_one, wanted


@part
class Heap(Schedule):
    """A heap whose nodes have `children` children: the judge picks the best of a parent and its children.

    Exact: the first `top` places. One question at a time; at most one a parent and level to build, one a level for each
    further place (about n / c + k log_c n; `calls` is the most it can be). Every sift is bounded, whatever the judge
    contradicts. With `children=1` it is a sorted chain; a pair judge answers three places with two comparisons, which
    makes `children=2` PRP's heap sort. Source: Setwise (Zhuang et al., 2024), PRP (Qin et al., 2024).
    """

    children: PositiveInt = 2

    def run(self, n: int, top: int | None = None) -> Running:
        return one_by_one(self._sort(n, wanted(n, top)))

    def _sort(self, n: int, top: int) -> One:
        heap = list(range(n))
        for node in reversed(range(self._parents(n))):
            yield from self._sift(heap, node)
        found: list[int] = []
        while heap and len(found) < top:
            found.append(heap[0])
            last = heap.pop()
            if heap:
                heap[0] = last
                if len(found) < top:
                    yield from self._sift(heap, 0)
        return first(found, n)

    def _sift(self, heap: list[int], node: int) -> Generator[Shown, Any, None]:
        """Let the place at `node` sink to where it belongs."""
        while True:
            below = range(self.children * node + 1, min(self.children * node + self.children, len(heap) - 1) + 1)
            if not below:
                return
            shown = tuple(sorted([heap[node], *(heap[child] for child in below)]))
            best = complete(shown, (yield shown))[0]
            if best == heap[node]:
                return
            child = next(child for child in below if heap[child] == best)
            heap[node], heap[child], node = best, heap[node], child

    def _parents(self, n: int) -> int:
        return 0 if n < 2 else (n - 2) // self.children + 1

    def _height(self, node: int, n: int) -> int:
        """Levels below `node` in a heap of `n`."""
        height = 0
        while (node := self.children * node + 1) < n:
            height += 1
        return height

    def calls(self, n: int, top: int | None = None) -> int:
        build = sum(self._height(node, n) for node in range(self._parents(n)))
        return build + sum(self._height(0, n - gone) for gone in range(1, wanted(n, top)))

    def exact(self, n: int, top: int | None = None) -> int:
        return wanted(n, top)

    @property
    def width(self) -> int:
        return self.children + 1


@part
class Bubble(Schedule):
    """Passes from the back to the front; each floats the best of what is left to its place, `step` places at a time.

    Exact: the first `top` places. Calls, exactly: sum over i < top of ceil((n - 1 - i) / step). No window is skipped as
    already clean: that loses places when `step` > 3. With `step=1` this is PRP-Sliding-K. Over a decent first stage it
    forgives more than a heap where a judge errs anew in each question, and less where preferences run in circles or
    end in ties (`benchmarks/results/llm_methods.md`). Source: PRP (Qin et al., 2024), Setwise (Zhuang et al., 2024).
    """

    step: PositiveInt = 1

    def run(self, n: int, top: int | None = None) -> Running:
        return one_by_one(self._sort(n, wanted(n, top)))

    def _sort(self, n: int, top: int) -> One:
        order = list(range(n))
        for goal in range(min(top, n - 1)):
            end = n - 1
            while end > goal:
                start = max(goal, end - self.step)
                shown = tuple(sorted(order[start : end + 1]))
                best = complete(shown, (yield shown))[0]
                order.insert(start, order.pop(order.index(best, start)))
                end = start
        return first(order, n)

    def calls(self, n: int, top: int | None = None) -> int:
        return sum(-(-(n - 1 - goal) // self.step) for goal in range(min(wanted(n, top), max(0, n - 1))))

    def exact(self, n: int, top: int | None = None) -> int:
        return wanted(n, top)

    @property
    def width(self) -> int:
        return self.step + 1
