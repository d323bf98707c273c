"""Who owns what: limits belong to the model, the cache and the default engine to the process, and no engine owns a
model."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import tamis
from tamis import CrossEncoder, Engine, Ranking, Reranker
from tamis.engine import MemoryCache, default_engine, pace
from tamis.engine.identity import KEPT_SECONDS, ByIdentity
from tamis.engine.limits import Limits, limits_of, models_known
from tamis.models import Function
from tamis.values.answers import Score
from tamis.values.calls import Classify

TEXTS = ["a", "bb", "ccc"]


class Watched:
    """Notes how many calls it answers at the same time."""

    max_batch = 1

    def __init__(self, max_concurrency: int = 1, seconds: float = 0.01) -> None:
        self.max_concurrency = max_concurrency
        self.seconds = seconds
        self.now = self.most = 0
        self.asked: list[float] = []
        self._lock = threading.Lock()

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.asked.append(time.monotonic())
        time.sleep(self.seconds)
        with self._lock:
            self.now -= 1
        return [Score(float(len(call.text))) for call in calls]


def rerank_by_stage(model: Any, number: int) -> None:
    CrossEncoder(model).rerank(f"q{number}", TEXTS)


def rerank_by_engine(model: Any, number: int) -> None:
    Engine(cache=None).rerank(CrossEncoder(model), f"q{number}", TEXTS)


def rerank_by_reranker(model: Any, number: int) -> None:
    Reranker("cross-encoder", models={"cross_encoder": model}, engine={"cache": None}).rerank(f"q{number}", TEXTS)


def rerank_by_function(model: Any, number: int) -> None:
    tamis.rerank(f"q{number}", TEXTS, "cross-encoder", models={"cross_encoder": model})


def rerank_in_a_loop(model: Any, number: int) -> None:
    asyncio.run(CrossEncoder(model).arerank(f"q{number}", TEXTS))


WAYS: tuple[Callable[[Any, int], None], ...] = (
    rerank_by_stage,
    rerank_by_engine,
    rerank_by_reranker,
    rerank_by_function,
    rerank_in_a_loop,
)


def at_once(model: Any, ways: Sequence[Callable[[Any, int], None]]) -> None:
    threads = [threading.Thread(target=way, args=(model, number)) for number, way in enumerate(ways)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("allowed", [1, 2])
def test_concurrency_of_a_model_holds_over_engines_stages_rerankers_and_event_loops(allowed: int) -> None:
    model = Watched(allowed)
    at_once(model, WAYS * 2)
    assert model.most == allowed
    assert len(model.asked) == 3 * 2 * len(WAYS)


def test_an_engine_may_allow_a_model_more_or_less_and_counts_what_others_hold() -> None:
    model = Watched(max_concurrency=2)

    def wide(model: Any, number: int) -> None:
        Engine(cache=None, concurrency=4).rerank(CrossEncoder(model), f"q{number}", TEXTS * 4)

    def narrow(model: Any, number: int) -> None:
        Engine(cache=None, concurrency=1).rerank(CrossEncoder(model), f"q{number}", TEXTS)

    at_once(model, (wide,))
    assert model.most == 4
    model.most = 0
    at_once(model, (narrow, narrow, narrow))
    assert model.most == 1
    at_once(model, (wide, narrow, wide, narrow))
    assert model.most <= 4


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_pace_of_a_model_holds_over_reranks_that_share_nothing_else(
    way: Callable[[Any, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MINUTE", 0.2)
    model = Watched(max_concurrency=4, seconds=0.0)
    model.requests_per_minute = 4  # type: ignore[attr-defined]
    for number in range(3):
        way(model, number)
    assert len(model.asked) == 9
    assert all(fifth - first > 0.19 for first, fifth in zip(model.asked, model.asked[4:], strict=False))


def test_two_equal_models_are_two_owners() -> None:
    one, other = Watched(), Watched()
    assert limits_of(one) is limits_of(one)
    assert limits_of(one) is not limits_of(other)


def test_what_no_engine_was_given_for_shares_one_engine_and_its_cache() -> None:
    asked = []

    def score(call: Classify) -> float:
        asked.append(call.text)
        return float(len(call.text))

    model = Function(score, "classify")
    model.cache_key = "the cache of the process"  # type: ignore[attr-defined]
    for way in (rerank_by_function, rerank_by_stage, rerank_by_function, rerank_in_a_loop):
        way(model, 0)
    assert len(asked) == len(TEXTS)
    assert Reranker("lexical").engine is default_engine()
    assert Reranker("lexical", engine={}).engine is not default_engine()


def test_threads_that_race_for_the_default_engine_get_the_same() -> None:
    code = """
import threading
from tamis.engine import default_engine
found = []
threads = [threading.Thread(target=lambda: found.append(default_engine())) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(set(map(id, found))))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


@pytest.mark.parametrize("shared", [True, False])
def test_a_model_nobody_holds_is_forgotten_whoever_asked_it(shared: bool) -> None:
    engine = Engine()
    before = models_known()
    dead = []
    for tenant in range(300):
        model = Watched(seconds=0.0)
        model.cache_key = f"tenant {tenant}"  # type: ignore[attr-defined]
        model.requests_per_minute = 1000  # type: ignore[attr-defined]
        if shared:
            engine.rerank(CrossEncoder(model), "q", TEXTS[:1])
        else:
            WAYS[tenant % len(WAYS)](model, 0)
        dead.append(weakref.ref(model))
        del model
    gc.collect()
    assert sum(model() is not None for model in dead) <= 1
    assert models_known() <= before + 1


def test_models_that_take_no_weak_reference_or_have_no_hash_have_limits_too() -> None:
    class Slotted:
        __slots__ = ()

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise AssertionError("models are told apart by identity")

    now = 0.0
    table = ByIdentity(Limits, lambda limits: limits.in_use, now=lambda: now)
    for kind in (Slotted, Unhashable):
        one, other = kind(), kind()
        assert table.of(one) is table.of(one)
        assert table.of(one) is not table.of(other)
    held = Slotted()
    lease = table.of(held).limiter.acquire(1)
    assert lease is not None
    mine = table.of(held)
    for _ in range(50):
        now += KEPT_SECONDS / 10
        table.of(Slotted())
    assert len(table) < 15, "those that nobody asks for are let go"
    assert table.of(held) is mine, "one in use is not"


@pytest.mark.parametrize("framework", ["one wrapper", "four wrappers"])
def test_wrappers_of_one_object_share_its_limits(framework: str) -> None:
    inner = object()

    class Wrapper(Watched):
        limited_as = inner

    wrappers = [Wrapper(2) for _ in range(1 if framework == "one wrapper" else 4)]
    most = 0
    lock = threading.Lock()
    now = 0

    def answer(calls: Sequence[Classify]) -> list[Score]:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        return [Score(1.0) for _ in calls]

    for wrapper in wrappers:
        wrapper.classify = answer  # type: ignore[method-assign]
    threads = [
        threading.Thread(target=rerank_by_engine, args=(wrapper, number))
        for number, wrapper in enumerate(wrappers * (8 // len(wrappers)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 2


def test_what_a_live_object_answered_goes_with_it() -> None:
    engine = Engine()
    for number in range(30):
        model = Watched(seconds=0.0)
        model.cache_key = f"object:{number}"  # type: ignore[attr-defined]
        engine.rerank(CrossEncoder(model), "q", TEXTS)
        assert engine.rerank(CrossEncoder(model), "q", TEXTS).usage.cached == 3
        del model
    gc.collect()
    assert len(engine._memory._live) <= 1
    assert isinstance(engine.cache, MemoryCache)
    assert len(engine.cache._answers) == 0


def test_a_table_survives_models_that_die_while_others_are_asked() -> None:
    table = ByIdentity(Limits)
    kept = [Watched() for _ in range(8)]
    mine = [table.of(model) for model in kept]

    def churn() -> None:
        for _ in range(500):
            table.of(Watched())

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert [table.of(model) for model in kept] == mine
    assert len(table) == 8


async def test_outcomes_have_an_async_twin() -> None:
    def score(call: Classify) -> float:
        if call.query == "bad":
            raise AttributeError("broken")
        return float(len(call.text))

    stage = CrossEncoder(Function(score, "classify"))
    rankings = [Ranking.of(query, TEXTS) for query in ("good", "bad", "fine")]
    engine = Engine(cache=None, on_failure="raise")
    sync, twin = engine.outcomes(stage, rankings), await engine.aoutcomes(stage, rankings)
    assert [type(outcome).__name__ for outcome in twin] == ["Ranking", "DegradedError", "Ranking"]
    assert [getattr(o, "positions", str(o)) for o in twin] == [getattr(o, "positions", str(o)) for o in sync]
