"""What begins together in an event loop begins a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tamis import Engine, Listwise
from tamis.engine.turns import AT_ONCE, Turns, turn
from tamis.values.answers import Generated
from tamis.values.ranking import Ranking


def rounds_of(starts: int, cancelled: set[int]) -> list[int]:
    """The round of the loop in which each of `starts` tasks has its turn; those cancelled have none."""
    given: list[int] = []

    async def main() -> None:
        loop, now = asyncio.get_running_loop(), 0

        def count() -> None:
            nonlocal now
            now += 1
            if now < 10 * starts + 10:
                loop.call_soon(count)

        async def one() -> None:
            await turn()
            given.append(now)

        tasks = [asyncio.create_task(one()) for _ in range(starts)]
        loop.call_soon(count)
        await asyncio.sleep(0)
        for place in cancelled:
            tasks[place].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    return given


@pytest.mark.parametrize("starts", [1, AT_ONCE, AT_ONCE + 1, 50])
def test_no_more_than_a_few_begin_in_one_round_and_all_begin(starts: int) -> None:
    given = rounds_of(starts, set())
    assert len(given) == starts
    assert max(given.count(now) for now in given) <= AT_ONCE
    assert given == sorted(given)


def test_the_cancelled_take_no_turn_and_hold_up_nobody() -> None:
    given = rounds_of(50, set(range(10, 40)))
    assert len(given) == 20
    assert max(given.count(now) for now in given) <= AT_ONCE


async def test_who_is_alone_waits_for_no_round() -> None:
    turns = Turns(asyncio.get_running_loop())
    coroutine = turns.next()
    with pytest.raises(StopIteration):
        coroutine.send(None)


async def test_a_deadline_counts_from_the_call_and_not_from_the_turn() -> None:
    class Chat:
        name, max_concurrency = "chat", 300

        async def agenerate(self, calls: Sequence[Any]) -> list[Any]:
            return [Generated("[2] > [1]")] * len(calls)

    engine, stage = Engine(deadline=0.001, cache=None), Listwise(Chat())

    async def one() -> Ranking:
        return await engine.arerank(stage, "q", ["a", "b"])

    rankings = await asyncio.gather(*[one() for _ in range(300)])
    assert rankings[-1].degraded
