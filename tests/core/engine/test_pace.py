"""No window of a minute holds more than the limits, and nothing waits longer than it must."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import CrossEncoder, Engine
from tamis.engine import pace
from tamis.engine.pace import MINUTE, Pace
from tamis.models import Function, OpenAIChat, RerankService

arrivals = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=40)


def allowed(starts: list[tuple[float, int]], requests: int | None, tokens: int | None) -> bool:
    """Whether the last of `starts` may go out where it does, in view of those in the minute up to it."""
    last = starts[-1][0]
    window = [size for start, size in starts if start > last - MINUTE]
    if requests is not None and len(window) > requests:
        return False
    return tokens is None or len(window) == 1 or sum(window) <= tokens


@given(arrivals, st.one_of(st.none(), st.integers(1, 5)), st.one_of(st.none(), st.integers(1, 20)))
def test_every_window_holds_and_nothing_waits_longer(gaps, requests, tokens):
    now = 0.0
    limit = Pace(now=lambda: now)
    starts: list[tuple[float, int]] = []
    for gap, size in gaps:
        now += gap
        arrived = now
        while wait := limit.book(requests, tokens, size):
            now += wait
        starts.append((now, size))
        assert allowed(starts, requests, tokens)
        if now > arrived:
            assert not allowed([*starts[:-1], (now - 0.5, size)], requests, tokens)


def test_by_hand():
    now = 0.0
    limit = Pace(now=lambda: now)
    assert [limit.book(requests=2) for _ in range(4)] == [0, 0, 60, 60], "what has to wait is not reserved"
    now = 50.0
    assert limit.book(requests=2) == 10
    now = 60.0
    assert [limit.book(requests=2) for _ in range(3)] == [0, 0, 60]
    limit = Pace(now=lambda: now)
    assert [limit.book(most=100, tokens=size) for size in (60, 40, 1)] == [0, 0, 60]
    now = 120.0
    assert [limit.book(most=100, tokens=size) for size in (500, 1)] == [0, 60], "larger than the limit: alone"


@pytest.fixture
def short_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MINUTE", 0.2)


class Counted(Function):
    """Notes when it was asked; two requests a minute."""

    requests_per_minute = 2

    def __init__(self) -> None:
        super().__init__(self._noted, "classify")
        self.asked: list[float] = []

    def _noted(self, call: Any) -> float:
        self.asked.append(time.monotonic())
        return float(len(call.text))


TEXTS = ["a", "bb", "ccc", "dddd", "eeeee"]


@pytest.mark.parametrize("how", ["sync", "async", "threads"])
def test_the_engine_keeps_a_models_pace(short_minutes: None, how: str) -> None:
    model = Counted()
    engine, stage = Engine(cache=None), CrossEncoder(model)
    if how == "sync":
        assert engine.rerank(stage, "q", TEXTS).positions == (4, 3, 2, 1, 0)
    elif how == "async":
        assert asyncio.run(engine.arerank(stage, "q", TEXTS)).positions == (4, 3, 2, 1, 0)
    else:
        threads = [threading.Thread(target=engine.rerank, args=(stage, "q", [text])) for text in TEXTS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    asked = sorted(model.asked)
    assert len(asked) == 5
    assert all(third - first > 0.19 for first, third in zip(asked, asked[2:], strict=False))


def test_retries_count_as_requests(short_minutes: None) -> None:
    model = Counted()

    def failing(call: Any) -> float:
        model.asked.append(time.monotonic())
        raise TimeoutError("busy")

    model._function = failing
    ranking = Engine(cache=None, retries=2, backoff=0.001).rerank(CrossEncoder(model), "q", ["a"])
    assert ranking.degraded
    assert len(model.asked) == 3
    assert model.asked[2] - model.asked[0] > 0.19


def test_a_deadline_does_not_wait_for_the_pace() -> None:
    model = Counted()
    started = time.monotonic()
    ranking = Engine(cache=None, deadline=0.3).rerank(CrossEncoder(model), "q", TEXTS)
    assert time.monotonic() - started < 5
    assert len(model.asked) == 2
    assert sum(ranked.score is None for ranked in ranking.kept) == 3
    assert "deadline" in str(ranking.warnings[0])


def test_what_a_deadline_gave_up_does_not_delay_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MINUTE", 1.0)
    model = Counted()
    engine = Engine(cache=None, deadline=3.0)
    hasty = Engine(cache=None, deadline=0.1)
    hasty.rerank(CrossEncoder(model), "q", TEXTS * 4)
    ranking = engine.rerank(CrossEncoder(model), "q", ["a", "bb"])
    assert not ranking.degraded
    assert len(model.asked) == 4


def test_tokens_are_those_the_calls_will_cost(short_minutes: None) -> None:
    model = Counted()
    model.requests_per_minute = None
    model.tokens_per_minute = 60
    Engine(cache=None).rerank(CrossEncoder(model), "q", ["tall mountain " * 12] * 3)
    asked = sorted(model.asked)
    assert asked[1] - asked[0] > 0.19
    assert asked[2] - asked[1] > 0.19


def test_models_over_http_say_their_limits() -> None:
    assert OpenAIChat("m", requests_per_minute=60, tokens_per_minute=30_000).requests_per_minute == 60
    assert RerankService("rerank-v3.5", "cohere", requests_per_minute=10).requests_per_minute == 10
    assert OpenAIChat("m").tokens_per_minute is None
    with pytest.raises(ValueError, match="greater than 0"):
        OpenAIChat("m", requests_per_minute=0)
