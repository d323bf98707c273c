from __future__ import annotations

import asyncio
import copy
import inspect
import math
import pickle
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.scripted import AsyncChat, Chat, grades, order
from tamis import Cancellation, CrossEncoder, Engine, Listwise, Ranking, Rebel, Reranker
from tamis.engine import DiskCache, Event
from tamis.engine.engine import Arguments
from tamis.engine.limiter import Limiter
from tamis.engine.options import EngineOptions
from tamis.errors import BudgetError, CapabilityError, ConfigError, DegradedError, ModelError
from tamis.models import CostOnly, Function
from tamis.values.answers import Failure, Generated, Score
from tamis.values.calls import Classify

TEXTS = [str(n) for n in range(40)]


def by_number(call: Any) -> str:
    return order(call, float)


class Scorer:
    """A local-looking model: batches of 8, one at a time, counts what it was given."""

    max_batch = 8

    def __init__(self, fail: Any = None) -> None:
        self.batches: list[int] = []
        self.fail = fail
        self.cache_key = "test:scorer"

    def classify(self, calls: Sequence[Classify]) -> list[Any]:
        self.batches.append(len(calls))
        if self.fail:
            raise self.fail
        return [Score(float(call.text)) for call in calls]


def test_sync_async_and_many_give_the_same_ranking() -> None:
    stage = Listwise(AsyncChat(by_number), window=8, stride=4) | CrossEncoder(Scorer(), depth=5)
    sync = stage.rerank("q", TEXTS)
    in_loop = asyncio.run(stage.arerank("q", TEXTS))
    many = Engine().rerank_many(stage, [Ranking.of("q", TEXTS), Ranking.of("other", TEXTS[:7])])
    assert sync.kept == in_loop.kept == many[0].kept
    assert many[1].positions == Engine().rerank(stage, "other", TEXTS[:7]).positions


async def test_sync_works_inside_a_running_loop() -> None:
    stage = Listwise(AsyncChat(by_number), window=8, stride=4)
    assert stage.rerank("q", TEXTS).positions[0] == 39


async def test_a_sync_only_model_does_not_block_the_loop() -> None:
    stage = Rebel(Chat(lambda call: grades(call, lambda text: {"relevance": 5}), delay=0.2))
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    started = time.monotonic()
    await stage.arerank("q", TEXTS)
    seconds = time.monotonic() - started
    ticking.cancel()
    assert ticks > 8
    assert seconds < 0.75, "four calls of 0.2 s must overlap"


def test_one_engine_serves_two_event_loops() -> None:
    engine, stage = Engine(), Listwise(AsyncChat(by_number), window=8, stride=4)
    first = asyncio.run(engine.arerank(stage, "q", TEXTS))
    second = asyncio.run(engine.arerank(stage, "q", TEXTS))
    assert first.kept == second.kept


def test_calls_of_many_queries_are_merged_per_model() -> None:
    model = Scorer()
    rankings = Engine().rerank_many(CrossEncoder(model), [Ranking.of(f"q{n}", ["1", "3", "2"]) for n in range(8)])
    assert {ranking.positions for ranking in rankings} == {(1, 2, 0)}
    assert model.batches == [8, 8, 8]
    assert all(ranking.usage.calls == 3 for ranking in rankings)


def test_sequential_plans_run_at_the_same_time() -> None:
    model = Chat(by_number, delay=0.02)
    rankings = [Ranking.of(f"q{n}", TEXTS) for n in range(16)]
    Engine().rerank_many(Listwise(model, window=8, stride=4), rankings)
    assert model.most >= 12


def test_a_slow_query_does_not_hold_back_the_others() -> None:
    finished: list[str] = []

    def answer(call: Any) -> str:
        slow = "slow" in call.messages[-1].content
        if slow:
            time.sleep(0.15)
        finished.append("slow" if slow else "fast")
        return by_number(call)

    stage = Listwise(Chat(answer), window=8, stride=4)
    Engine().rerank_many(stage, [Ranking.of("slow", TEXTS[:16]), Ranking.of("fast", TEXTS)])
    assert finished.index("slow") >= 3
    assert finished[-1] == "slow"


def test_the_concurrency_limit_holds_over_threads_and_reranks() -> None:
    model = Chat(lambda call: grades(call, lambda text: {"relevance": 5}), delay=0.03)
    engine = Engine(concurrency=3)
    stage = Rebel(model, batch_size=4)
    threads = [threading.Thread(target=engine.rerank, args=(stage, f"q{n}", TEXTS)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert model.most <= 3
    assert len(model.calls) == 40


async def test_the_limiter_serves_threads_and_loops_and_forgets_the_cancelled() -> None:
    limiter = Limiter()
    held = limiter.acquire(1)
    assert held is not None
    assert limiter.acquire(1, timeout=0.01) is None
    waiting = asyncio.create_task(limiter.aacquire(1))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.sleep(0)
    second = asyncio.create_task(limiter.aacquire(1))
    await asyncio.sleep(0.01)
    held.release()
    held.release()
    (await asyncio.wait_for(second, 1)).release()
    last = limiter.acquire(1, timeout=0.1)
    assert last is not None
    assert limiter.acquire(1, timeout=0.01) is None, "a lease given back twice is one slot"


def test_a_transient_error_is_retried_and_counted() -> None:
    tries = []

    def flaky(call: Any) -> float:
        tries.append(call)
        if len(tries) < 3:
            raise ModelError("busy", retryable=True)
        return 1.0

    ranking = Engine(backoff=0.001).rerank(CrossEncoder(Function(flaky, "classify")), "q", ["a"])
    assert len(tries) == 3
    assert ranking.usage.retries == 2
    assert not ranking.degraded


def test_retry_after_is_honoured() -> None:
    times: list[float] = []

    def limited(call: Any) -> float:
        times.append(time.monotonic())
        if len(times) == 1:
            raise ModelError("429", retryable=True, retry_after=0.2)
        return 1.0

    Engine(backoff=0.001).rerank(CrossEncoder(Function(limited, "classify")), "q", ["a"])
    assert times[1] - times[0] >= 0.19


@pytest.mark.parametrize("error", [ValueError("odd"), RuntimeError("boom"), TypeError("bug")])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_model_that_raises_never_loses_a_candidate(error: Exception, asynchronous: bool) -> None:
    engine, stage = Engine(retries=1, backoff=0.001), CrossEncoder(Scorer(error))
    ranking = asyncio.run(engine.arerank(stage, "q", TEXTS)) if asynchronous else engine.rerank(stage, "q", TEXTS)
    assert ranking.positions == tuple(range(40))
    assert ranking.degraded
    assert type(error).__name__ in str(ranking.warnings[0])
    assert ranking.usage.failed == 40


def test_under_raise_the_error_carries_the_best_ranking() -> None:
    engine = Engine(retries=0, on_failure="raise")
    with pytest.raises(DegradedError, match="odd") as caught:
        engine.rerank(CrossEncoder(Scorer(ValueError("odd"))), "q", TEXTS)
    assert isinstance(caught.value.ranking, Ranking)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_model_that_hangs_ends_at_the_deadline_with_what_there_is(asynchronous: bool) -> None:
    def answer(call: Any) -> Any:
        if float(call.text) >= 20:
            time.sleep(30)
        return float(call.text)

    stage = CrossEncoder(Function(answer, "classify", max_concurrency=64))
    engine = Engine(deadline=1.5)
    started = time.monotonic()
    ranking = asyncio.run(engine.arerank(stage, "q", TEXTS)) if asynchronous else engine.rerank(stage, "q", TEXTS)
    assert time.monotonic() - started < 10
    assert ranking.positions[:20] == tuple(range(19, -1, -1))
    assert ranking.positions[20:] == tuple(range(20, 40))
    assert "deadline" in str(ranking.warnings[0])


async def test_an_async_model_that_hangs_is_cancelled_at_the_deadline() -> None:
    async def hang(call: Any) -> float:
        await asyncio.sleep(60)
        return 1.0

    ranking = await Engine(deadline=0.1).arerank(CrossEncoder(Function(hang, "classify")), "q", ["a", "b"])
    assert ranking.positions == (0, 1)
    assert ranking.degraded
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


def test_after_the_deadline_a_sequential_plan_ends_at_once() -> None:
    model = Chat(by_number, delay=0.1)
    started = time.monotonic()
    ranking = Engine(deadline=0.25).rerank(Listwise(model, window=4, stride=2), "q", TEXTS)
    assert time.monotonic() - started < 0.6
    assert len(model.calls) <= 4
    assert sorted(ranking.positions) == list(range(40))


def test_cancelling_returns_the_best_ranking_so_far() -> None:
    token = Cancellation()
    threading.Timer(0.15, token.cancel).start()
    model = Chat(by_number, delay=0.1)
    started = time.monotonic()
    ranking = Engine().rerank(Listwise(model, window=4, stride=2), "q", TEXTS, cancel=token)
    assert time.monotonic() - started < 1.0
    assert "cancelled" in str(ranking.warnings[-1])
    assert sorted(ranking.positions) == list(range(40))


async def test_cancelling_works_in_a_loop_and_before_the_start() -> None:
    token = Cancellation()
    token.cancel()
    ranking = await Engine().arerank(Listwise(Chat(by_number, delay=5)), "q", TEXTS, cancel=token)
    assert ranking.positions == tuple(range(40))
    assert ranking.degraded


async def test_cancelling_the_task_cancels_the_calls() -> None:
    started = asyncio.Event()

    async def hang(call: Any) -> float:
        started.set()
        await asyncio.sleep(60)
        return 1.0

    task = asyncio.create_task(Engine().arerank(CrossEncoder(Function(hang, "classify")), "q", ["a"]))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.01)
    assert len(asyncio.all_tasks()) == 1


def test_the_call_budget_stops_asking_and_keeps_the_rest_in_order() -> None:
    ranking = Engine(max_calls=5).rerank(CrossEncoder(Function(lambda c: float(c.text), "classify")), "q", TEXTS)
    assert ranking.usage.calls == 5
    assert ranking.positions == (4, 3, 2, 1, 0, *range(5, 40))
    assert "budget" in str(ranking.warnings[0])


def test_the_token_budget_holds() -> None:
    texts = ["x" * 400] * 20
    ranking = Engine(max_tokens=1000).rerank(CrossEncoder(Function(lambda c: 1.0, "classify")), "q", texts)
    assert 0 < ranking.usage.tokens <= 1000
    assert ranking.usage.calls == 9


def test_over_budget_can_be_refused_before_the_first_call() -> None:
    model = Scorer()
    with pytest.raises(BudgetError, match="40 calls"):
        Engine(max_calls=5, over_budget="refuse").rerank(CrossEncoder(model), "q", TEXTS)
    assert model.batches == []


@pytest.mark.parametrize(
    ("stage", "calls", "rounds"),
    [
        (lambda m: CrossEncoder(m), 100, 1),
        (lambda m: Listwise(m, window=20, stride=10), 9, 9),
        (lambda m: Rebel(m), 10, 1),
        (lambda m: Rebel(m, criteria="infer"), 11, 2),
    ],
)
def test_a_dry_run_predicts_calls_and_rounds(stage: Any, calls: int, rounds: int) -> None:
    model = CostOnly()
    usage = Engine().dry_run(stage(model), "q", ["some text"] * 100)
    assert usage.calls == calls if "infer" not in repr(stage(model)) else usage.calls in (11, 12)
    assert usage.rounds in (rounds, rounds + 1)
    assert usage.tokens_in > 0


def test_a_dry_run_asks_nobody_and_predicts_the_real_input_tokens() -> None:
    model = Chat(lambda call: grades(call, lambda text: {"relevance": 5, "depth": 2}))
    stage = Rebel(model)
    predicted = Engine().dry_run(stage, "q", TEXTS)
    assert model.calls == []
    spent = stage.rerank("q", TEXTS).usage
    assert (predicted.calls, predicted.tokens_in) == (spent.calls, spent.tokens_in)


def test_answers_are_cached_in_memory_and_shared_between_queries() -> None:
    model, engine = Scorer(), Engine()
    first = engine.rerank(CrossEncoder(model), "q", TEXTS)
    again = engine.rerank(CrossEncoder(model), "q", TEXTS)
    assert (first.usage.calls, first.usage.cached) == (40, 0)
    assert (again.usage.calls, again.usage.cached) == (0, 40)
    assert again.kept == first.kept
    assert sum(model.batches) == 40


def test_identical_calls_in_flight_are_made_once() -> None:
    model = Scorer()
    rankings = Engine().rerank_many(CrossEncoder(model), [Ranking.of("q", ["1", "2", "2"])] * 3)
    assert sum(model.batches) == 2
    assert sum(r.usage.calls for r in rankings) == 2
    assert sum(r.usage.cached for r in rankings) == 7


def test_a_disk_cache_outlives_the_engine_and_the_process_boundary(tmp_path: Path) -> None:
    path = str(tmp_path / "sub" / "answers.sqlite")
    first, second = Scorer(), Scorer()
    a = Engine(cache=path).rerank(CrossEncoder(first), "q", TEXTS)
    b = Engine(cache=path).rerank(CrossEncoder(second), "q", TEXTS)
    assert second.batches == []
    assert b.kept == a.kept


def test_the_disk_cache_keeps_every_kind_of_answer(tmp_path: Path) -> None:
    from tamis.values.answers import Logprobs, Vector

    cache = DiskCache(tmp_path / "a.sqlite")
    for n, answer in enumerate([Generated("ü", False, tokens_in=3), Logprobs((-0.5, float("-inf"))), Score(2.0)]):
        cache.put(bytes([n]) * 16, answer)
        assert cache.get(bytes([n]) * 16) == answer
    cache.put(b"v", Vector((0.5, 1.0)))
    vector = cache.get(b"v")
    assert isinstance(vector, Vector)
    assert list(vector.values) == [0.5, 1.0]
    assert cache.get(b"absent") is None


def test_failures_are_not_cached() -> None:
    engine, model = Engine(retries=0), Scorer(RuntimeError("down"))
    engine.rerank(CrossEncoder(model), "q", ["1"])
    model.fail = None
    assert not engine.rerank(CrossEncoder(model), "q", ["1"]).degraded


def test_answers_in_the_wrong_number_or_of_the_wrong_kind_are_failures() -> None:
    class Short:
        def classify(self, calls: Any) -> list[Any]:
            return [Score(1.0)]

    class Odd:
        max_batch = 8

        def classify(self, calls: Any) -> list[Any]:
            return ["nine"] * len(calls)

    for model in (Short(), Odd()):
        ranking = CrossEncoder(model).rerank("q", ["a", "b"])
        assert ranking.positions == (0, 1)
    assert ranking.degraded


def test_an_async_only_model_is_refused_by_the_sync_driver_with_the_remedy() -> None:
    async def score(call: Any) -> float:
        return float(call.text)

    stage = CrossEncoder(Function(score, "classify"))
    with pytest.raises(CapabilityError, match="arerank"):
        stage.rerank("q", TEXTS)
    assert asyncio.run(stage.arerank("q", TEXTS)).positions[0] == 39


def test_events_tell_what_happened_without_texts() -> None:
    events: list[Event] = []
    engine = Engine(on_event=events.append)
    engine.rerank(CrossEncoder(Scorer()), "secret", TEXTS[:10])
    assert [event.kind for event in events] == ["start", "batch", "batch", "end"]
    assert [event.calls for event in events if event.kind == "batch"] == [8, 2]
    assert events[-1].usage is not None
    assert events[-1].usage.calls == 10
    assert "secret" not in repr(events)


def test_a_listener_that_raises_does_not_hurt() -> None:
    def bad(event: Event) -> None:
        raise RuntimeError("listener")

    assert Engine(on_event=bad).rerank(CrossEncoder(Scorer()), "q", ["1"]).kept


def test_spans_are_written_when_opentelemetry_is_there() -> None:
    trace = pytest.importorskip("opentelemetry.sdk.trace")
    export = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    from opentelemetry import trace as api
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    exporter = export.InMemorySpanExporter()
    provider = trace.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    api._TRACER_PROVIDER = None
    api._TRACER_PROVIDER_SET_ONCE._done = False
    api.set_tracer_provider(provider)
    CrossEncoder(Scorer()).rerank("secret", TEXTS[:9])
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"tamis.rerank", "tamis.classify"}
    assert spans["tamis.classify"].parent.span_id == spans["tamis.rerank"].context.span_id
    assert spans["tamis.rerank"].attributes["tamis.calls"] == 9
    assert "secret" not in str([span.attributes for span in spans.values()])


BAD_OPTIONS: dict[str, tuple[Any, ...]] = {
    "deadline": (0, -1, math.nan, math.inf, "2", True),
    "max_calls": (-1, 2.5, math.nan, "2", True),
    "max_tokens": (-1, math.inf, "many", False),
    "retries": ("2", -1, None, 1.0),
    "backoff": (-0.1, math.nan, math.inf, "1"),
    "concurrency": (0, -3, 1.5, True, "all"),
    "on_failure": ("x", None, True),
    "over_budget": ("x", None),
    "cache": ("answers.db", 3, object(), True),
    "vectors": (3, object(), True, "", "  ", "answers.sqlite", Path("answers.sqlite")),
    "on_event": (3, "log"),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_OPTIONS.items() for value in values])
def test_bad_engine_options_are_refused_by_name_and_value(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name) as refused:
        Engine(**{name: value})
    assert repr(value)[:20] in str(refused.value) or "must be" in str(refused.value)
    with pytest.raises(ConfigError, match=name):
        Reranker("lexical", engine={name: value})


NO_EFFECT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("vectors", {"cache": None, "vectors": "memory"}, {"cache": None}),
    ("over_budget", {"over_budget": "refuse"}, {"over_budget": "refuse", "max_tokens": 5}),
    ("backoff", {"retries": 0, "backoff": 0.5}, {"retries": 0}),
]


@pytest.mark.parametrize(("name", "refused", "mended"), NO_EFFECT, ids=[name for name, *_ in NO_EFFECT])
def test_engine_options_without_effect_are_refused(name: str, refused: dict[str, Any], mended: dict[str, Any]) -> None:
    for make in (lambda: Engine(**refused), lambda: Reranker("lexical", engine=refused)):
        with pytest.raises(ConfigError, match=f"{name} has no effect"):
            make()
    engine = Engine(**mended)
    for again in (pickle.loads(pickle.dumps(engine)), copy.deepcopy(engine)):
        assert again.options == engine.options
        assert repr(again) == repr(engine)


def test_an_option_that_was_renamed_is_refused_with_its_new_name() -> None:
    with pytest.raises(ConfigError, match="'passages' is now called 'vectors'"):
        Engine(passages="memory")  # type: ignore[call-arg]


def test_the_docstring_of_the_engine_names_every_option() -> None:
    written = {
        name.strip()
        for line in re.findall(r"^    ([a-z_, ]+): ", str(inspect.getdoc(Engine)), re.MULTILINE)
        for name in line.split(",")
    }
    assert written == set(Arguments.__annotations__)


def test_engine_options_without_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="engine options have names, such as 'deadline'; got 1"):
        Reranker("lexical", engine={1: 2})  # type: ignore[dict-item]


LIMITS = ("max_batch", "max_concurrency", "requests_per_minute", "tokens_per_minute")
NO_LIMITS = (0, -1, 2.5, 0.5, math.nan, math.inf, -math.inf, "5", b"5", True, [4])


@pytest.mark.parametrize("attribute", LIMITS)
@pytest.mark.parametrize("value", NO_LIMITS, ids=repr)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_limit_of_a_model_that_is_no_count_is_refused_by_attribute_and_value(
    attribute: str, value: Any, asynchronous: bool
) -> None:
    class Model:
        name = "third"

        def classify(self, calls: Sequence[Any]) -> list[Any]:
            raise AssertionError("asked")

    model, sound = Model(), CrossEncoder(Function(lambda call: 1.0, "classify"))
    setattr(model, attribute, value)

    class Either:
        def plan(self, ranking: Ranking) -> Any:
            return (CrossEncoder(model) if ranking.query.text == "bad" else sound).plan(ranking)

    rankings = [Ranking.of(query, ["a", "b"]) for query in ("bad", "good", "bad")]
    engine = Engine()
    found = asyncio.run(engine.aoutcomes(Either(), rankings)) if asynchronous else engine.outcomes(Either(), rankings)
    assert isinstance(found[1], Ranking)
    for error in (found[0], found[2]):
        assert isinstance(error, ConfigError)
        assert f"third.{attribute} must be a whole number of at least 1, or None" in str(error)
        assert repr(value) in str(error)


@pytest.mark.parametrize("attribute", LIMITS)
@pytest.mark.parametrize("value", [None, 1, 4.0, np.int64(8), 10**400], ids=lambda value: type(value).__name__)
def test_any_whole_number_and_none_are_limits_of_a_model(attribute: str, value: Any) -> None:
    class Model:
        def classify(self, calls: Sequence[Any]) -> list[Any]:
            return [Score(1.0) for _ in calls]

    model = Model()
    setattr(model, attribute, value)
    assert not Engine().rerank(CrossEncoder(model), "q", ["a"]).degraded


def test_every_engine_option_has_bad_values_here() -> None:
    assert set(BAD_OPTIONS) == {f.name for f in fields(EngineOptions)} == set(Arguments.__annotations__)


def test_an_unknown_engine_option_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown option 'deadlin'. Did you mean 'deadline'\?"):
        Engine(deadlin=2.0)  # type: ignore[call-arg]


def test_an_engine_prints_what_it_was_given_and_pickles_to_the_same() -> None:
    engine = Engine(deadline=2.0, cache=None)
    assert repr(engine) == "Engine(deadline=2.0, cache=None)"
    assert pickle.loads(pickle.dumps(engine)).options == engine.options


def test_results_do_not_depend_on_the_order_of_completion() -> None:
    import random

    def shuffled(call: Any) -> float:
        time.sleep(random.random() / 100)
        return float(int(call.text) * 7 % 40)

    stage = CrossEncoder(Function(shuffled, "classify", max_concurrency=16))
    assert len({stage.rerank("q", TEXTS).positions for _ in range(5)}) == 1


def test_context_variables_reach_the_model() -> None:
    import contextvars

    seen: list[str] = []
    user = contextvars.ContextVar("user", default="nobody")
    user.set("me")

    def score(call: Any) -> float:
        seen.append(user.get())
        return 1.0

    Engine(deadline=5).rerank(CrossEncoder(Function(score, "classify")), "q", TEXTS[:3])
    assert seen == ["me"] * 3


def test_a_failure_returned_by_a_model_concerns_that_candidate_only() -> None:
    def some(call: Any) -> Any:
        return Failure("error", "too long") if call.text == "1" else float(call.text)

    ranking = CrossEncoder(Function(some, "classify")).rerank("q", ["0", "1", "2"])
    assert ranking.positions == (2, 1, 0)
    assert ranking.warnings[0].positions == (1,)


class Sorted(Scorer):
    """Takes calls of one query only in a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.queries: list[set[str]] = []

    def together(self, call: Classify) -> str:
        return call.query

    def classify(self, calls: Sequence[Classify]) -> list[Any]:
        self.queries.append({call.query for call in calls})
        return super().classify(calls)


def test_a_batch_holds_only_calls_that_the_model_takes_together() -> None:
    model = Sorted()
    rankings = [Ranking.of(f"q{n}", TEXTS[: 5 + n]) for n in range(5)]
    results = Engine(cache=None).rerank_many(CrossEncoder(model), rankings)
    assert all(len(queries) == 1 for queries in model.queries)
    assert sorted(model.batches) == [1, 5, 6, 7, 8, 8]
    assert [len(result) for result in results] == [5, 6, 7, 8, 9]
    assert not any(result.degraded for result in results)


def test_cancelled_calls_leave_the_queues_of_their_group() -> None:
    release, started = threading.Event(), threading.Event()

    class Stuck(Sorted):
        def classify(self, calls: Sequence[Classify]) -> list[Any]:
            started.set()
            release.wait(5)
            return super().classify(calls)

    model, engine = Stuck(), Engine(deadline=0.2, cache=None)
    results = engine.rerank_many(CrossEncoder(model), [Ranking.of(f"q{n}", TEXTS) for n in range(3)])
    release.set()
    assert started.is_set()
    assert all(result.degraded and len(result) == 40 for result in results)
