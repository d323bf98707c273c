"""A system that starts no more threads for a moment costs what needed one then, and nothing later."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from support.watch import within
from tamis import CrossEncoder, Engine, Lexical
from tamis.engine import drive, workers
from tamis.engine.limits import limits_of
from tamis.engine.workers import NoThread, Workers
from tamis.values.answers import Score
from tamis.values.calls import Plan
from tamis.values.ranking import Ranking

TEXTS = ["a", "b"]


class Shortage:
    """Lets the start of a thread fail whose number, counted from 1, is in `failing`. Counts those of tamis alone."""

    def __init__(self) -> None:
        self.failing: frozenset[int] = frozenset()
        self.started = 0
        self._start = threading.Thread.start

    def begin(self, *failing: int) -> None:
        self.failing, self.started = frozenset(failing), 0

    def start(self, thread: threading.Thread) -> None:
        if thread.name.startswith("tamis-"):
            self.started += 1
            if self.started in self.failing:
                raise RuntimeError("can't start new thread")
        self._start(thread)


@pytest.fixture
def shortage(monkeypatch: pytest.MonkeyPatch) -> Shortage:
    made = Shortage()
    monkeypatch.setattr(threading.Thread, "start", lambda thread: made.start(thread))
    monkeypatch.setattr(workers, "IDLE_SECONDS", 0.2)
    for module, name in ((workers, "MODELS"), (workers, "DRIVERS"), (drive, "STEPS")):
        monkeypatch.setattr(module, name, Workers(f"tamis-{name.lower()}"))
    monkeypatch.setattr(drive, "PLANS", Workers("tamis-plans", most=1))
    return made


class Model:
    name, max_concurrency, max_batch = "model", 1, 10

    def classify(self, calls: Sequence[Any]) -> list[Any]:
        return [Score(number / 10) for number in range(len(calls))]


class AsyncModel(Model):
    async def aclassify(self, calls: Sequence[Any]) -> list[Any]:
        await asyncio.sleep(0)
        return self.classify(calls)


class Stuck:
    """Computes until `stop`."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        self.stop.wait(30)
        return ranking


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("driver", ["sync", "many", "deadline", "async", "async with a deadline"])
@pytest.mark.parametrize("kind", [Model, AsyncModel])
def test_a_thread_that_cannot_be_started_degrades_that_rerank_alone(
    shortage: Shortage, driver: str, number: int, kind: type[Model]
) -> None:
    model = kind()
    engine = Engine(cache=None, retries=0, deadline=10.0 if "deadline" in driver else None)

    def rerank() -> list[Ranking]:
        rankings = [Ranking.of(f"q{n}", TEXTS) for n in range(3 if driver == "many" else 1)]
        if "async" in driver:
            return asyncio.run(engine.arerank_many(CrossEncoder(model), rankings))
        return engine.rerank_many(CrossEncoder(model), rankings)

    shortage.begin(number)
    first = within(20, rerank)
    assert any(ranking.degraded for ranking in first) == (shortage.started >= number)
    assert all(ranking.positions == (0, 1) for ranking in first if ranking.degraded)
    shortage.begin()
    assert not any(ranking.degraded for ranking in within(20, rerank))
    assert limits_of(model).limiter._held == 0


def test_work_waits_for_its_turn_only_where_it_is_watched(shortage: Shortage) -> None:
    stuck, engine = Stuck(), Engine(cache=None)

    async def go() -> None:
        forever = asyncio.create_task(Engine(cache=None).arerank(stuck, "q", TEXTS))
        while not shortage.started:
            await asyncio.sleep(0.01)
        shortage.begin(1)
        assert (await engine.arerank(Lexical(), "b", TEXTS)).degraded
        for _ in range(3):
            assert not (await engine.arerank(Lexical(), "b", TEXTS)).degraded
        stuck.stop.set()
        await forever

    within(20, lambda: asyncio.run(go()))


def test_work_that_gets_no_thread_when_its_turn_comes_gets_one_later(shortage: Shortage) -> None:
    pool, stop = Workers("tamis-pool", most=1), threading.Event()
    first = pool.submit(lambda: stop.wait(30))
    shortage.begin(2, 3)
    later = [pool.submit(time.monotonic) for _ in range(3)]
    for each in later:
        each.result(10)
    assert shortage.started == 4
    stop.set()
    assert first.result(10)


def test_work_without_a_thread_fails_and_holds_no_place(shortage: Shortage) -> None:
    pool = Workers("tamis-pool", most=1)
    shortage.begin(1)
    with pytest.raises(NoThread, match="can't start new thread"):
        pool.submit(lambda: 1).result(10)
    assert pool.submit(lambda: 2).result(10) == 2
