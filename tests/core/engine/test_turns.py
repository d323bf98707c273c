"""What begins together in an event loop begins a few at a time."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence
from typing import Any

import pytest

from support.watch import eventually, script, within
from tamis import Cancellation, Engine, Listwise
from tamis.engine.turns import AT_ONCE, FREELY, Turns, turns_here
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
            turns = turns_here()
            await turns.next()
            given.append(now)
            await asyncio.sleep(0)
            turns.end()

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


class Waits:
    """Counts the reranks that wait for it, which is until `go` is set."""

    name, max_concurrency = "waits", 1000

    def __init__(self) -> None:
        self.go, self.now, self.most = asyncio.Event(), 0, 0

    async def agenerate(self, calls: Sequence[Any]) -> list[Any]:
        self.now += 1
        self.most = max(self.most, self.now)
        await self.go.wait()
        self.now -= 1
        return [Generated("[2] > [1]")] * len(calls)


async def test_those_under_way_that_never_end_keep_nobody_from_beginning() -> None:
    engine, model = Engine(cache=None), Waits()
    tasks = [asyncio.create_task(engine.arerank(Listwise(model), f"q{n}", ["a", "b"])) for n in range(2 * FREELY)]
    while model.now < 2 * FREELY:
        await asyncio.sleep(0.01)
    turns = turns_here()
    assert turns.open == 2 * FREELY
    model.go.set()
    assert all(ranking.positions == (1, 0) for ranking in await asyncio.gather(*tasks))
    assert turns.open == 0
    assert not turns._waiting


def test_few_of_many_quick_reranks_are_under_way_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tamis.engine.turns.TICK", 60.0)
    most = 0

    class Quick:
        name, max_concurrency = "quick", 1000

        async def agenerate(self, calls: Sequence[Any]) -> list[Any]:
            nonlocal most
            most = max(most, turns_here().open)
            return [Generated("[2] > [1]")] * len(calls)

    async def main() -> None:
        engine, stage = Engine(cache=None), Listwise(Quick())
        await asyncio.gather(*[engine.arerank(stage, f"q{n}", ["a", "b"]) for n in range(4 * FREELY)])

    within(30, lambda: asyncio.run(main()))
    assert 1 <= most <= FREELY


def test_a_model_that_reranks_in_its_own_call_waits_for_no_end() -> None:
    class Nested:
        name, max_concurrency = "nested", 1000

        async def agenerate(self, calls: Sequence[Any]) -> list[Any]:
            if "inner" not in str(calls[0].messages):
                await engine.arerank(stage, "inner", ["a", "b"])
            return [Generated("[2] > [1]")] * len(calls)

    engine, stage = Engine(cache=None), Listwise(Nested())

    async def main() -> list[Ranking]:
        return await asyncio.gather(*[engine.arerank(stage, f"q{n}", ["a", "b"]) for n in range(2 * FREELY)])

    assert all(ranking.positions == (1, 0) for ranking in within(30, lambda: asyncio.run(main())))


@pytest.mark.parametrize("how", ["deadline", "cancel", "task"])
async def test_who_waits_for_a_turn_ends_with_its_deadline_or_cancellation(how: str) -> None:
    turns, loop = Turns(asyncio.get_running_loop()), asyncio.get_running_loop()
    turns.open, turns._ticking = FREELY, True
    cancel = Cancellation()
    waiting = asyncio.create_task(turns.next(0.01 if how == "deadline" else None, cancel))
    await asyncio.sleep(0)
    if how == "cancel":
        await loop.run_in_executor(None, cancel.cancel)
    elif how == "task":
        waiting.cancel()
    done, _ = await asyncio.wait({waiting}, timeout=10)
    assert done
    assert turns.open == (FREELY if how == "task" else FREELY + 1)
    assert not cancel._wakers


async def test_who_is_cancelled_after_its_turn_was_given_gives_it_back() -> None:
    turns = Turns(asyncio.get_running_loop())
    turns.open = FREELY
    turns._ticking = True
    waiting = asyncio.create_task(turns.next())
    await asyncio.sleep(0)
    turns.end()
    turns._round()
    waiting.cancel()
    await asyncio.wait({waiting}, timeout=10)
    assert waiting.cancelled()
    assert turns.open == FREELY - 1


def test_no_loop_is_kept_after_its_end() -> None:
    async def main() -> weakref.ref[Any]:
        engine, model = Engine(cache=None), Waits()
        model.go.set()
        await asyncio.gather(*[engine.arerank(Listwise(model), f"q{n}", ["a", "b"]) for n in range(2 * FREELY)])
        return weakref.ref(asyncio.get_running_loop())

    loop = within(30, lambda: asyncio.run(main()))

    def gone() -> bool:
        gc.collect()
        return loop() is None

    assert eventually(gone)


CLOSED = """
import asyncio, gc, os, sys, weakref
from tamis import Engine, Listwise
from tamis.engine.turns import FREELY, turns_here

sys.stderr = open(os.devnull, "w")  # asyncio itself complains where a task outlives its loop

class Waits:
    name, max_concurrency = "waits", 1000
    async def agenerate(self, calls):
        await asyncio.sleep(3600)

loops = []
for _ in range(3):
    loop, model = asyncio.new_event_loop(), Waits()
    for number in range(FREELY + 20):
        loop.create_task(Engine(cache=None).arerank(Listwise(model), f"q{number}", ["a", "b"]))
    loop.run_until_complete(asyncio.sleep(0.02))
    loop.close()
    loops.append(weakref.ref(loop))
    del loop, model

async def later():
    turns_here()

asyncio.run(later())
for _ in range(5):
    gc.collect()
print(sum(loop() is not None for loop in loops))
os._exit(0)
"""


def test_loops_closed_while_reranks_waited_are_let_go() -> None:
    assert script(CLOSED).strip() == "0"


class Counting:
    """Counts what it is asked; each call takes longer than any deadline here."""

    name, max_concurrency = "slow", 2

    def __init__(self) -> None:
        self.calls = 0

    async def agenerate(self, calls: Sequence[Any]) -> list[Generated]:
        self.calls += 1
        await asyncio.sleep(30)
        return [Generated("[2] > [1]")] * len(calls)


async def test_who_waited_for_its_turn_until_its_deadline_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = 0

    class Planned(Listwise):
        def plan(self, ranking: Ranking) -> Any:
            nonlocal begun
            begun += 1
            return super().plan(ranking)

    model = Counting()
    stage, engine = Planned(model), Engine(cache=None, deadline=0.3)
    monkeypatch.setattr("tamis.engine.turns.TICK", 3600.0)
    rankings = await asyncio.gather(*[engine.arerank(stage, f"q{number}", ["a", "b"]) for number in range(3 * FREELY)])
    assert all(ranking.degraded and ranking.positions == (0, 1) for ranking in rankings)
    assert "deadline" in str(rankings[-1].warnings[0])
    assert begun < 2 * FREELY
