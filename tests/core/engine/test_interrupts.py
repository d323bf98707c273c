"""However a model or a callback ends, the rerank comes back whole and gives back its place in the model's limit."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from support.watch import eventually, script, within
from tamis import Cancellation, Engine, Listwise
from tamis.engine.limiter import Limiter
from tamis.engine.limits import limits_of
from tamis.errors import ModelError
from tamis.values.answers import Generated
from tamis.values.ranking import Ranking

ORDER = Generated("[3] > [2] > [1]")
TEXTS = ["a", "b", "c"]
KINDS: dict[str, Callable[[], BaseException]] = {
    "RuntimeError": lambda: RuntimeError("x"),
    "MemoryError": MemoryError,
    "RecursionError": RecursionError,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "GeneratorExit": GeneratorExit,
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt,
    "cancelled task": asyncio.CancelledError,
    "cancelled future": concurrent.futures.CancelledError,
    "a group": lambda: BaseExceptionGroup("several", [SystemExit(1), ValueError("x")]),
    "of its own": lambda: type("Own", (BaseException,), {})("x"),
    "TimeoutError": TimeoutError,
    "retry later": lambda: ModelError("x", retryable=True, retry_after=float("nan")),
}
DRIVERS = ["sync", "sync with a deadline", "many", "async", "async with a deadline", "async many"]


def held(model: Any) -> int:
    return limits_of(model).limiter._held


def rerank(driver: str, model: Any, *, again: bool = False, **options: Any) -> list[Ranking]:
    """In one of six ways; `again`: under another query."""
    engine = Engine(retries=1, backoff=0.001, cache=None, deadline=20.0 if "deadline" in driver else None, **options)
    stage, query = Listwise(model), "again" if again else "q"
    rankings = [Ranking.of(f"{query} {place}", TEXTS) for place in range(3 if "many" in driver else 1)]
    if "async" in driver:
        return asyncio.run(engine.arerank_many(stage, rankings))
    return engine.rerank_many(stage, rankings)


class Model:
    """Sync. Does `first` the first `times` it is asked, and answers well after that."""

    name, max_concurrency, max_batch = "scripted", 1, 1

    def __init__(self, first: Callable[[], Any], times: int = 10**9) -> None:
        self.first, self.left, self.lock = first, times, threading.Lock()

    def _turn(self) -> bool:
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def generate(self, calls: Sequence[Any]) -> list[Any]:
        if self._turn():
            self.first()
        return [ORDER] * len(calls)


class AsyncModel(Model):
    async def agenerate(self, calls: Sequence[Any]) -> list[Any]:
        await asyncio.sleep(0)
        return self.generate(calls)


def raising(make: Callable[[], BaseException]) -> Callable[[], None]:
    def first() -> None:
        raise make()

    return first


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync model", "async model"])
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_ends_with_any_exception_costs_that_call_alone(kind: str, driver: str, asynchronous: bool) -> None:
    if kind == "KeyboardInterrupt" and asynchronous and "async" in driver:
        pytest.skip("in the event loop an interrupt is the user's own")
    model = (AsyncModel if asynchronous else Model)(raising(KINDS[kind]))
    rankings = within(20, lambda: rerank(driver, model))
    assert all(ranking.degraded and ranking.positions == (0, 1, 2) for ranking in rankings)
    assert held(model) == 0
    model.left = 0
    rankings = within(20, lambda: rerank(driver, model, again=True))
    assert all(not ranking.degraded and ranking.positions == (2, 1, 0) for ranking in rankings)
    assert held(model) == 0


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_callback_that_ends_with_any_exception_costs_nothing(kind: str, driver: str) -> None:
    model = AsyncModel(lambda: None)
    rankings = within(20, lambda: rerank(driver, model, on_event=lambda event: raising(KINDS[kind])()))
    assert all(not ranking.degraded and ranking.positions == (2, 1, 0) for ranking in rankings)
    assert held(model) == 0


INTERRUPTED = """
import asyncio, os, signal, sys, threading, time
from tamis import Engine, Listwise
from tamis.engine.limits import limits_of
from tamis.values.answers import Generated

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background hands down "ignore"

class Model:
    name, max_concurrency = "slow", 1
    slow = True
    def generate(self, calls):
        end = time.monotonic() + (20 if self.slow else 0)
        while time.monotonic() < end:
            time.sleep(0.01)
        return [Generated("[2] > [1]")] * len(calls)

class AsyncModel(Model):
    async def agenerate(self, calls):
        await asyncio.sleep(20 if self.slow else 0)
        return [Generated("[2] > [1]")] * len(calls)

how, model = sys.argv[1], (AsyncModel if sys.argv[1] == "async model" else Model)()
engine = Engine(cache=None, deadline=30.0 if how == "deadline" else None)
def run(query):
    if how.startswith("async"):
        return asyncio.run(engine.arerank(Listwise(model), query, ["a", "b"]))
    if how == "many":
        from tamis.values.ranking import Ranking
        return engine.rerank_many(Listwise(model), [Ranking.of(query + str(n), ["a", "b"]) for n in range(3)])[0]
    return engine.rerank(Listwise(model), query, ["a", "b"])
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
started = time.monotonic()
try:
    run("q")
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - started < 10)
model.slow = False
print("later", run("later").degraded, limits_of(model).limiter._held)
os._exit(0)
"""


@pytest.mark.parametrize("how", ["sync", "many", "deadline", "async", "async model"])
def test_the_users_own_interrupt_reaches_the_user_and_later_reranks_are_whole(how: str) -> None:
    assert script(INTERRUPTED, how, seconds=40).split() == ["interrupted", "True", "later", "False", "0"]


def test_an_interrupt_inside_the_model_in_the_main_thread_is_the_users() -> None:
    assert threading.current_thread() is threading.main_thread()
    model = Model(lambda: os.kill(os.getpid(), signal.SIGINT), times=1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            Engine(cache=None).rerank(Listwise(model), "q", TEXTS)
    finally:
        signal.signal(signal.SIGINT, before)
    assert held(model) == 0
    assert not Engine(cache=None).rerank(Listwise(model), "q", TEXTS).degraded


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync model", "async model"])
def test_a_model_may_rerank_with_itself_in_its_one_slot(driver: str, asynchronous: bool) -> None:
    class Nested(AsyncModel if asynchronous else Model):  # type: ignore[misc]
        depth = 0

        def generate(self, calls: Sequence[Any]) -> list[Any]:
            with self.lock:
                self.depth += 1
                inner = self.depth <= 3
            if inner:
                assert not Engine(cache=None).rerank(Listwise(self), f"inner {self.depth}", TEXTS).degraded
            return [ORDER] * len(calls)

        if asynchronous:

            async def agenerate(self, calls: Sequence[Any]) -> list[Any]:
                self.depth += 1
                if self.depth <= 3:
                    inner = await Engine(cache=None).arerank(Listwise(self), f"inner {self.depth}", TEXTS)
                    assert not inner.degraded
                return [ORDER] * len(calls)

    model = Nested(lambda: None)
    rankings = within(20, lambda: rerank(driver, model))
    assert all(ranking.positions == (2, 1, 0) for ranking in rankings)
    assert held(model) == 0


def test_two_wrappers_of_one_model_with_one_slot_may_rerank_inside_each_other() -> None:
    class Wrapper(Model):
        inner: Any = None

        def generate(self, calls: Sequence[Any]) -> list[Any]:
            if self.inner is not None:
                Engine(cache=None).rerank(Listwise(self.inner), "inner", TEXTS)
            return [ORDER] * len(calls)

    outer, inner = Wrapper(lambda: None), Wrapper(lambda: None)
    outer.inner, owner = inner, Model(lambda: None)
    outer.limited_as = inner.limited_as = owner  # type: ignore[attr-defined]
    assert within(20, lambda: Engine(cache=None).rerank(Listwise(outer), "q", TEXTS)).positions == (2, 1, 0)
    assert held(owner) == 0


def test_two_models_of_one_slot_that_ask_each_other_do_not_hold_each_other_up() -> None:
    class Other(Model):
        other: Any = None

        def generate(self, calls: Sequence[Any]) -> list[Any]:
            if self._turn():
                Engine(cache=None).rerank(Listwise(self.other), "inner", TEXTS)
            return [ORDER] * len(calls)

    one, two = Other(lambda: None, times=1), Other(lambda: None, times=1)
    one.other, two.other = two, one
    assert within(20, lambda: Engine(cache=None).rerank(Listwise(one), "q", TEXTS)).positions == (2, 1, 0)
    assert held(one) == held(two) == 0


class Sleeps:
    name, max_concurrency = "sleeps", 1

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def agenerate(self, calls: Sequence[Any]) -> list[Any]:
        await asyncio.sleep(self.seconds)
        return [ORDER] * len(calls)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("keep", [True, False], ids=["loop kept", "loop collected"])
@pytest.mark.parametrize("after", [0.0, 0.05, 0.25])
def test_a_loop_that_is_closed_with_holders_and_waiters_gives_back_their_places(after: float, keep: bool) -> None:
    model, engine, loop = Sleeps(0.2), Engine(cache=None), asyncio.new_event_loop()
    stage = Listwise(model)

    async def three() -> None:
        await asyncio.gather(*[engine.arerank(stage, f"q{n}", TEXTS) for n in range(3)])

    task = loop.create_task(three())
    loop.call_later(after, loop.stop)
    loop.run_forever()
    loop.close()
    kept = [task, loop] if keep else []
    del task, loop
    gc.collect()
    later = within(20, lambda: asyncio.run(engine.arerank(stage, "later", TEXTS)))
    assert not later.degraded
    del kept
    gc.collect()
    assert not within(20, lambda: asyncio.run(engine.arerank(stage, "last", TEXTS))).degraded
    assert eventually(lambda: held(model) == 0)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync model", "async model"])
@pytest.mark.parametrize("after", [0.0, 0.02, 0.1])
def test_cancelled_tasks_give_back_their_places(after: float, asynchronous: bool) -> None:
    wait = threading.Event()
    model: Any = Sleeps(5) if asynchronous else Model(lambda: wait.wait(5))
    engine = Engine(cache=None)

    async def go() -> None:
        tasks = [asyncio.create_task(engine.arerank(Listwise(model), f"q{n}", TEXTS)) for n in range(4)]
        await asyncio.sleep(after)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended)

    within(20, lambda: asyncio.run(go()))
    model.seconds = model.left = 0
    assert not within(20, lambda: asyncio.run(engine.arerank(Listwise(model), "later", TEXTS))).degraded
    wait.set()
    assert eventually(lambda: held(model) == 0)


@pytest.mark.parametrize("driver", ["sync with a deadline", "async with a deadline", "cancelled"])
def test_a_model_that_hangs_once_does_not_keep_its_only_place(driver: str) -> None:
    wait = threading.Event()
    model = Model(lambda: wait.wait(30), times=1)

    def run(query: str) -> Ranking:
        if driver == "cancelled":
            cancel = Cancellation()
            threading.Timer(0.2, cancel.cancel).start()
            return Engine(cache=None).rerank(Listwise(model), query, TEXTS, cancel=cancel)
        engine = Engine(cache=None, deadline=0.3)
        if "async" in driver:
            return asyncio.run(engine.arerank(Listwise(model), query, TEXTS))
        return engine.rerank(Listwise(model), query, TEXTS)

    assert within(20, lambda: run("q")).degraded
    for query in ("one", "two", "three"):
        assert not within(20, lambda query=query: rerank("sync", model, again=True)[0]).degraded, query  # type: ignore[misc]
    wait.set()
    assert eventually(lambda: held(model) == 0)


def test_plans_that_end_with_any_exception_reach_the_caller_and_hurt_no_other_query() -> None:
    class Stage:
        def plan(self, ranking: Ranking) -> Any:
            if ranking.query.text in KINDS:
                raise KINDS[ranking.query.text]()
            yield []
            return ranking

    safe = [kind for kind in KINDS if kind not in ("StopIteration", "GeneratorExit", "StopAsyncIteration")]
    rankings = [Ranking.of(kind, TEXTS) for kind in (*safe, "good")]
    outcomes = within(20, lambda: Engine().outcomes(Stage(), rankings))
    assert isinstance(outcomes[-1], Ranking)
    assert all(isinstance(outcome, BaseException) for outcome in outcomes[:-1])
    again = within(20, lambda: asyncio.run(Engine(deadline=10.0).aoutcomes(Stage(), rankings)))
    assert [type(outcome).__name__ for outcome in again] == [type(outcome).__name__ for outcome in outcomes]


def test_many_threads_and_loops_with_failing_models_leave_the_limiter_at_nought() -> None:
    limiter = Limiter()
    stop = time.monotonic() + 1.5

    def thread(seed: int) -> None:
        n = seed
        while time.monotonic() < stop:
            n = n * 1103515245 % 2**31
            lease = limiter.acquire(1 + n % 3, timeout=(n % 7) / 1000)
            if lease is not None:
                if n % 5 == 0:
                    lease.release()
                lease.release()

    async def task(seed: int) -> None:
        n = seed
        while time.monotonic() < stop:
            n = n * 1103515245 % 2**31
            try:
                async with asyncio.timeout((n % 7) / 1000):
                    lease = await limiter.aacquire(1 + n % 3)
            except TimeoutError:
                continue
            await asyncio.sleep((n % 3) / 1000)
            lease.release()

    async def tasks(seed: int) -> None:
        await asyncio.gather(*[task(seed + n) for n in range(10)])

    threads = [threading.Thread(target=thread, args=(n + 1,)) for n in range(4)]
    threads += [threading.Thread(target=lambda n=n: asyncio.run(tasks(100 + n))) for n in range(2)]  # type: ignore[misc]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert not any(each.is_alive() for each in threads)
    assert limiter._held == 0
    assert not limiter._waiting or all(waiter.gone for waiter in limiter._waiting)
    lease = limiter.acquire(1, timeout=1)
    assert lease is not None
