"""A plan that computes for ever, without any deadline, takes its own thread and nothing else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from support.watch import eventually, script, within
from tamis import Cancellation, Engine
from tamis.engine.limits import limits_of
from tamis.values.answers import Generated
from tamis.values.calls import Generate, Message, Plan
from tamis.values.ranking import Ranking

TEXTS = ["a", "b", "c"]
both = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
everywhere = pytest.mark.parametrize("when", ["before", "between", "after"])


class Chat:
    name, max_concurrency = "chat", 2

    def generate(self, calls: Sequence[Any]) -> list[Any]:
        return [Generated("x")] * len(calls)

    async def agenerate(self, calls: Sequence[Any]) -> list[Any]:
        return self.generate(calls)


class Sticks:
    """Asks twice. Computes until `stop` before, between or after that, for queries that begin with "stuck"."""

    def __init__(self, stop: threading.Event, when: str = "between") -> None:
        self.stop, self.when, self.model = stop, when, Chat()
        self.stuck = threading.Semaphore(0)

    def compute(self, ranking: Ranking, when: str) -> None:
        if when == self.when and ranking.query.text.startswith("stuck"):
            self.stuck.release()
            while not self.stop.is_set():
                sum(range(200))

    def plan(self, ranking: Ranking) -> Plan:
        self.compute(ranking, "before")
        yield [Generate(self.model, (Message("user", ranking.query.text),))]
        self.compute(ranking, "between")
        yield [Generate(self.model, (Message("user", "again " + ranking.query.text),))]
        self.compute(ranking, "after")
        return ranking


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def no_place_is_held(stage: Sticks) -> bool:
    limiter = limits_of(stage.model).limiter
    return eventually(lambda: limiter._held == 0 and not limiter._waiting)


@everywhere
def test_other_reranks_of_an_engine_go_on_in_threads(when: str, stop: threading.Event) -> None:
    engine, stage, came = Engine(cache=None), Sticks(stop, when), list[Ranking]()
    threads = [
        threading.Thread(target=lambda n=n: came.append(engine.rerank(stage, f"stuck {n}", TEXTS)), daemon=True)  # type: ignore[misc]
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
        assert stage.stuck.acquire(timeout=30)
    assert within(30, lambda: engine.rerank(stage, "q", TEXTS)).usage.calls == 2
    many = within(30, lambda: engine.rerank_many(stage, [Ranking.of(f"q{n}", TEXTS) for n in range(5)]))
    assert [ranking.usage.calls for ranking in many] == [2] * 5
    assert not came
    assert no_place_is_held(stage)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert [ranking.usage.calls for ranking in came] == [2] * 4


@everywhere
async def test_other_reranks_of_an_engine_go_on_in_a_loop(when: str, stop: threading.Event) -> None:
    engine, stage = Engine(cache=None), Sticks(stop, when)
    stuck = [asyncio.create_task(engine.arerank(stage, f"stuck {n}", TEXTS)) for n in range(6)]
    for _ in stuck:
        assert await asyncio.to_thread(stage.stuck.acquire, timeout=30)
    assert (await asyncio.wait_for(engine.arerank(stage, "q", TEXTS), 30)).usage.calls == 2
    many = await asyncio.wait_for(engine.arerank_many(stage, [Ranking.of(f"q{n}", TEXTS) for n in range(5)]), 30)
    assert [ranking.usage.calls for ranking in many] == [2] * 5
    assert not any(task.done() for task in stuck)
    stop.set()
    assert [ranking.usage.calls for ranking in await asyncio.wait_for(asyncio.gather(*stuck), 30)] == [2] * 6
    assert no_place_is_held(stage)


@both
@everywhere
@pytest.mark.parametrize("place", [0, 3, 5])
def test_the_other_queries_of_a_batch_end_and_are_kept(
    place: int, when: str, asynchronous: bool, stop: threading.Event
) -> None:
    """The caller cancels a while after the others have made all their calls."""
    engine, stage, cancel = Engine(cache=None), Sticks(stop, when), Cancellation()
    rankings = [Ranking.of(f"stuck {n}" if n == place else f"q{n}", TEXTS) for n in range(6)]
    ended = threading.Semaphore(0)

    class Tells:
        def plan(self, ranking: Ranking) -> Plan:
            after = yield from stage.plan(ranking)
            ended.release()
            return after

    def cancels() -> None:
        for _ in range(5):
            ended.acquire(timeout=30)
        stage.stuck.acquire(timeout=30)
        time.sleep(0.6)
        cancel.cancel()

    threading.Thread(target=cancels, daemon=True).start()
    if asynchronous:
        came = within(60, lambda: asyncio.run(engine.arerank_many(Tells(), rankings, cancel=cancel)))
    else:
        came = within(60, lambda: engine.rerank_many(Tells(), rankings, cancel=cancel))
    assert [ranking.degraded for ranking in came] == [n == place for n in range(6)]
    assert [ranking.usage.calls for n, ranking in enumerate(came) if n != place] == [2] * 5
    assert "cancelled" in str(came[place].warnings[-1])
    assert came[place].positions == (0, 1, 2)
    assert no_place_is_held(stage)


@both
def test_a_plan_that_comes_back_is_taken_in(asynchronous: bool, stop: threading.Event) -> None:
    engine, stage = Engine(cache=None, deadline=60.0), Sticks(stop)
    rankings = [Ranking.of(f"{'stuck' if n % 2 else 'q'} {n}", TEXTS) for n in range(6)]

    def later() -> None:
        for _ in range(3):
            stage.stuck.acquire(timeout=30)
        stop.set()

    threading.Thread(target=later, daemon=True).start()
    if asynchronous:
        came = within(50, lambda: asyncio.run(engine.arerank_many(stage, rankings)))
    else:
        came = within(50, lambda: engine.rerank_many(stage, rankings))
    assert not any(ranking.degraded for ranking in came)
    assert [ranking.usage.calls for ranking in came] == [2] * 6
    assert [ranking.usage.rounds for ranking in came] == [2] * 6


@both
@pytest.mark.parametrize("queries", [1, 3])
def test_cancelling_returns_to_the_caller(queries: int, asynchronous: bool, stop: threading.Event) -> None:
    engine, stage, cancel = Engine(cache=None), Sticks(stop), Cancellation()
    rankings = [Ranking.of(f"stuck {n}", TEXTS) for n in range(queries)]

    def cancels() -> None:
        stage.stuck.acquire(timeout=30)
        cancel.cancel()

    threading.Thread(target=cancels, daemon=True).start()
    if asynchronous:
        came = within(30, lambda: asyncio.run(engine.arerank_many(stage, rankings, cancel=cancel)))
    else:
        came = within(30, lambda: engine.rerank_many(stage, rankings, cancel=cancel))
    assert all("cancelled" in str(ranking.warnings[-1]) for ranking in came)
    assert no_place_is_held(stage)


@pytest.mark.parametrize("queries", [1, 3])
async def test_cancelling_the_task_returns_at_once(queries: int, stop: threading.Event) -> None:
    engine, stage = Engine(cache=None), Sticks(stop)
    rankings = [Ranking.of(f"stuck {n}", TEXTS) for n in range(queries)]
    task = asyncio.create_task(engine.arerank_many(stage, rankings))
    assert await asyncio.to_thread(stage.stuck.acquire, timeout=30)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=30)
    assert done
    assert task.cancelled()
    assert (await asyncio.wait_for(engine.arerank(stage, "q", TEXTS), 30)).usage.calls == 2
    assert no_place_is_held(stage)


@pytest.mark.parametrize(
    "run",
    [
        "threading.Thread(target=lambda: Engine().rerank(Sticks(), 'q', ['a']), daemon=True).start()",
        "Engine().rerank_many(Sticks(), [Ranking.of('q', ['a'])] * 2, cancel=soon)",
        "Engine(deadline=.3).rerank(Sticks(), 'q', ['a'])",
        "asyncio.run(Engine().arerank_many(Sticks(), [Ranking.of('q', ['a'])] * 2, cancel=soon))",
        "asyncio.run(asyncio.wait_for(Engine().arerank(Sticks(), 'q', ['a']), .3))",
    ],
)
def test_the_process_ends(run: str) -> None:
    code = f"""
import asyncio, threading
from tamis import Cancellation, Engine
from tamis.values.ranking import Ranking

class Sticks:
    def plan(self, ranking):
        began.set()
        while True:
            sum(range(200))
        yield []

began, soon = threading.Event(), Cancellation()
threading.Timer(.3, soon.cancel).start()
try:
    {run}
except TimeoutError:
    pass
assert began.wait(30)
print("ended")
"""
    assert "ended" in script(code, seconds=60)
