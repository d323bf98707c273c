"""Requests sent and tokens used stay within the budget, whatever fails and whatever a server reports."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.watch import within
from tamis import Engine
from tamis.errors import ModelError
from tamis.text.tokens import estimate_tokens, most_tokens
from tamis.values.answers import Failure, Generated
from tamis.values.calls import Generate, Message, Plan
from tamis.values.ranking import Ranking


class Asks:
    """`rounds` rounds of calls, each of these texts. `answers` by query."""

    def __init__(self, model: Any, rounds: int, texts: Sequence[str], max_tokens: int = 8) -> None:
        self.model, self.rounds, self.texts, self.max_tokens = model, rounds, texts, max_tokens
        self.answers: dict[str, list[Any]] = {}

    def plan(self, ranking: Ranking) -> Plan:
        query = ranking.query.text
        mine = self.answers.setdefault(query, [])
        for turn in range(self.rounds):
            mine += yield [
                Generate(self.model, (Message("user", f"{query} {turn} {place} {text}"),), max_tokens=self.max_tokens)
                for place, text in enumerate(self.texts)
            ]
        return ranking


class Model:
    """Fails by turns; counts what it is sent. `spends`: tokens it really uses, as a share of the most it may."""

    name = "counting"

    def __init__(self, fails: Sequence[Any], batch: int = 1, slots: int = 4, reports: Sequence[Any] = (None,)) -> None:
        self.fails, self.max_batch, self.max_concurrency = fails, batch, slots
        self.reports, self.requests, self.tokens, self.turn = reports, 0, 0, 0
        self.spends = [1.0]
        self.lock = threading.Lock()

    def generate(self, calls: Sequence[Any]) -> list[Any]:
        with self.lock:
            self.requests += len(calls)
            turn = self.turn
            self.turn += 1
        fails = self.fails[turn % len(self.fails)]
        if fails == "error":
            with self.lock:
                self.tokens += sum(sum(map(estimate_tokens, call.content())) for call in calls)
            raise ModelError("busy", retryable=True, retry_after=0.0)
        if fails == "malformed":
            return []
        answers: list[Any] = []
        for place, call in enumerate(calls):
            share = self.spends[(turn + place) % len(self.spends)]
            read = int(sum(map(most_tokens, call.content())) * share)
            wrote = int(call.max_tokens * share)
            with self.lock:
                self.tokens += read + wrote
            reported = self.reports[(turn + place) % len(self.reports)]
            counts = {"tokens_in": read, "tokens_out": wrote} if reported == "true" else {"tokens_in": reported}
            answers.append(Failure("error", "no") if fails == "failure" else Generated("w" * 4 * wrote, **counts))
        return answers


def tries(retries: int) -> dict[str, Any]:
    return {"retries": retries, "backoff": 0.0} if retries else {"retries": 0}


patterns = st.lists(st.sampled_from([None, "error", "malformed", "failure"]), min_size=1, max_size=6)
texts = st.lists(
    st.sampled_from(["", "short", "a longer text of many words " * 3, "漢字" * 20, "🙂" * 9]), min_size=1, max_size=6
)


def run(engine: Engine, stage: Asks, queries: int, asynchronous: bool) -> list[Ranking]:
    rankings = [Ranking.of(f"q{number}", ["a", "b"]) for number in range(queries)]
    if asynchronous:
        return within(30, lambda: asyncio.run(engine.arerank_many(stage, rankings)))
    return within(30, lambda: engine.rerank_many(stage, rankings))


@examples(120)
@given(
    fails=patterns,
    texts=texts,
    rounds=st.integers(1, 3),
    max_calls=st.integers(0, 9),
    retries=st.integers(0, 4),
    batch=st.integers(1, 4),
    queries=st.integers(1, 3),
    asynchronous=st.booleans(),
)
def test_requests_with_retries_never_exceed_the_budget(
    fails: list[Any],
    texts: list[str],
    rounds: int,
    max_calls: int,
    retries: int,
    batch: int,
    queries: int,
    asynchronous: bool,
) -> None:
    model = Model(fails, batch)
    stage = Asks(model, rounds, texts)
    run(Engine(max_calls=max_calls, **tries(retries), cache=None), stage, queries, asynchronous)
    assert model.requests <= max_calls * queries
    for answers in stage.answers.values():
        assert len(answers) == rounds * len(texts)
        assert all(isinstance(answer, (Generated, Failure)) for answer in answers)
    if not any(fails):
        good = sum(isinstance(answer, Generated) for answers in stage.answers.values() for answer in answers)
        assert good == min(max_calls, rounds * len(texts)) * queries, "the whole budget is used"


@examples(150)
@given(
    fails=patterns,
    texts=texts,
    rounds=st.integers(1, 3),
    max_tokens=st.integers(0, 400),
    reports=st.lists(st.sampled_from([None, "true", 0, -(10**9), 10**6, float("nan"), "many"]), min_size=1, max_size=4),
    spends=st.lists(st.floats(0, 1), min_size=1, max_size=4) | st.just([1.0]),
    retries=st.integers(0, 2),
    asynchronous=st.booleans(),
)
def test_tokens_really_used_never_exceed_the_budget(
    fails: list[Any],
    texts: list[str],
    rounds: int,
    max_tokens: int,
    reports: list[Any],
    spends: list[float],
    retries: int,
    asynchronous: bool,
) -> None:
    model = Model(fails, reports=reports)
    model.spends = spends
    stage = Asks(model, rounds, texts)
    run(Engine(max_tokens=max_tokens, **tries(retries), cache=None), stage, 1, asynchronous)
    if not {"malformed", "failure"} & set(fails):
        assert model.tokens <= max_tokens
    assert len(stage.answers["q0"]) == rounds * len(texts)


@examples(80)
@given(report=st.integers(max_value=0) | st.floats(max_value=0) | st.none(), rounds=st.integers(1, 8))
def test_a_report_never_gives_tokens_back(report: Any, rounds: int) -> None:
    """A server that reports nothing, or less than nothing, is asked no more than one that reports the estimate."""

    def asked(reported: Any) -> int:
        model = Model([None], slots=1, reports=[reported])
        run(Engine(max_tokens=150, retries=0, cache=None), Asks(model, rounds, ["some words " * 4]), 1, False)
        return model.requests

    assert asked(report) <= asked(None)


def test_a_report_of_more_than_was_expected_is_charged() -> None:
    model = Model([None], reports=[10**6])
    stage = Asks(model, 3, ["text"])
    (ranking,) = run(Engine(max_tokens=1000, cache=None), stage, 1, False)
    assert model.requests == 1
    assert ranking.usage.tokens_in == 10**6


@examples(60)
@given(
    count=st.integers(1, 12),
    fits=st.integers(1, 12),
    slots=st.integers(1, 4),
    batch=st.integers(1, 3),
    wrote=st.integers(0, 8),
)
def test_calls_that_wait_for_the_budget_are_asked_as_soon_as_room_is_given_back(
    count: int, fits: int, slots: int, batch: int, wrote: int
) -> None:
    """Output is reserved at its limit, so that few calls fit at first. Those under way write less than that, and what
    they give back is enough for all the others, one after the other."""

    class Short(Model):
        def generate(self, calls: Sequence[Any]) -> list[Any]:
            with self.lock:
                self.requests += len(calls)
            return [Generated("w" * 4 * wrote, tokens_out=wrote) for _ in calls]

    model = Short([None], batch, slots)
    stage = Asks(model, 1, ["some words"] * count, max_tokens=100)
    read = most_tokens("q0 0 10 some words") + 1
    spent = count * (read + wrote)
    run(Engine(max_tokens=spent + 101 + fits, cache=None), stage, 1, False)
    assert model.requests == count
    assert all(isinstance(answer, Generated) for answer in stage.answers["q0"])


def test_calls_that_wait_are_refused_when_nothing_comes_back() -> None:
    model = Model([None], slots=1)
    stage = Asks(model, 1, ["x" * 40] * 6, max_tokens=50)
    run(Engine(max_tokens=160, cache=None), stage, 1, False)
    kinds = [type(answer) for answer in stage.answers["q0"]]
    assert kinds.count(Generated) == model.requests == 2
    assert all(answer.why == "budget" for answer in stage.answers["q0"] if isinstance(answer, Failure))


@pytest.mark.parametrize("asynchronous", [False, True])
def test_waiting_calls_end_with_the_deadline(asynchronous: bool) -> None:
    wait = threading.Event()

    class Stuck(Model):
        def generate(self, calls: Sequence[Any]) -> list[Any]:
            wait.wait(20)
            return super().generate(calls)

    stage = Asks(Stuck([None], slots=1), 1, ["x" * 40] * 6, max_tokens=50)
    run(Engine(max_tokens=160, deadline=0.3, cache=None), stage, 1, asynchronous)
    wait.set()
    assert [answer.why for answer in stage.answers["q0"]] == ["deadline"] * 6


def test_equal_calls_of_several_queries_are_paid_by_the_first_alone() -> None:
    class Keyed(Model):
        cache_key = "keyed"

    model = Keyed(["error", None])
    stage = Asks(model, 1, ["x"])
    rankings = [Ranking.of("same", ["a", "b"]) for _ in range(4)]
    ranked = within(20, lambda: Engine(max_calls=2, backoff=0.0).rerank_many(stage, rankings))
    assert model.requests == 2
    assert [ranking.usage.calls for ranking in ranked] == [1, 0, 0, 0]
    assert all(isinstance(answer, Generated) for answer in stage.answers["same"])
