"""Many queries at once: a sliding window is a chain of calls, so one query alone leaves a model idle."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from statistics import median

from report import save, table
from tamis import Engine, Listwise, Ranking
from tamis.values.answers import Generated
from tamis.values.calls import Generate

QUERIES, CANDIDATES, DELAY, REPEATS = 64, 100, 0.05, 3
LIMITS = (16, 64)
ANSWER = " > ".join(f"[{number}]" for number in range(20, 0, -1))
CALLS = 9
"""A query: 1 + (100 - 20) / 10 windows, one after the other."""


class Slow:
    """Reverses every window, `DELAY` seconds a call, sync and async; `most` were in flight at once."""

    def __init__(self, max_concurrency: int) -> None:
        self.max_concurrency = max_concurrency
        self.calls = self.now = self.most = 0
        self._lock = threading.Lock()

    def generate(self, calls: Sequence[Generate]) -> list[Generated]:
        self._enter()
        time.sleep(DELAY)
        return self._leave(calls)

    async def agenerate(self, calls: Sequence[Generate]) -> list[Generated]:
        self._enter()
        await asyncio.sleep(DELAY)
        return self._leave(calls)

    def _enter(self) -> None:
        with self._lock:
            self.calls += 1
            self.now += 1
            self.most = max(self.most, self.now)

    def _leave(self, calls: Sequence[Generate]) -> list[Generated]:
        with self._lock:
            self.now -= 1
        return [Generated(ANSWER) for _ in calls]


TEXTS = [f"passage {number}: " + "some words about something " * 8 for number in range(CANDIDATES)]
Way = Callable[[Engine, Listwise, Sequence[str]], list[Ranking]]


def one_by_one(engine: Engine, stage: Listwise, queries: Sequence[str]) -> list[Ranking]:
    return [engine.rerank(stage, query, TEXTS) for query in queries]


def rerank_many(engine: Engine, stage: Listwise, queries: Sequence[str]) -> list[Ranking]:
    return engine.rerank_many(stage, [Ranking.of(query, TEXTS) for query in queries])


def arerank_many(engine: Engine, stage: Listwise, queries: Sequence[str]) -> list[Ranking]:
    return asyncio.run(engine.arerank_many(stage, [Ranking.of(query, TEXTS) for query in queries]))


def gathered(engine: Engine, stage: Listwise, queries: Sequence[str]) -> list[Ranking]:
    async def gather() -> list[Ranking]:
        return list(await asyncio.gather(*(engine.arerank(stage, query, TEXTS) for query in queries)))

    return asyncio.run(gather())


WAYS: dict[str, Way] = {
    "`Engine.rerank_many`": rerank_many,
    "`Engine.arerank_many`": arerank_many,
    f"`asyncio.gather` of {QUERIES} `arerank`": gathered,
}


def timed(way: Way, model: Slow, queries: Sequence[str]) -> tuple[float, list[tuple[int, ...]]]:
    """Seconds and the orders found. Without a cache, so that every query costs its calls."""
    engine, stage = Engine(cache=None), Listwise(model, window=20, stride=10)
    start = time.perf_counter()
    rankings = way(engine, stage, queries)
    return time.perf_counter() - start, [ranking.positions for ranking in rankings]


def main() -> None:
    queries = [f"question {number}" for number in range(QUERIES)]
    seconds: dict[tuple[str, int], list[float]] = {(way, limit): [] for limit in LIMITS for way in WAYS}
    models = {key: Slow(key[1]) for key in seconds}
    alone, alone_seconds = Slow(1), 0.0
    for repeat in range(REPEATS):
        share, expected = timed(one_by_one, alone, queries[repeat::REPEATS])
        alone_seconds += share
        for (way, limit), found in seconds.items():
            took, orders = timed(WAYS[way], models[way, limit], queries)
            assert set(orders) == set(expected), "the same answers must give the same order"
            found.append(took)
    assert alone.calls == QUERIES * CALLS
    rows: list[list[object]] = [["one by one", "-", alone.calls, f"{alone_seconds:.1f}", "1", alone.most, "-"]]
    for (way, limit), found in seconds.items():
        took, model = median(found), models[way, limit]
        least = max(CALLS, QUERIES * CALLS / limit) * DELAY
        calls, faster = model.calls // REPEATS, f"{alone_seconds / took:.1f}x"
        rows.append([way, limit, calls, f"{took:.2f}", faster, model.most, f"{least / took:.0%}"])
    save(
        "concurrency",
        f"{QUERIES} queries at the same time",
        ("tamis",),
        f"`Listwise`, window 20, stride 10, over {CANDIDATES} candidates: {CALLS} calls in sequence a query, "
        f"{DELAY * 1e3:.0f} ms each. Median of {REPEATS} runs; the queries one by one are timed in {REPEATS} parts "
        "between them. All ways gave the same order. Of the least possible: the time that the calls alone take when "
        "as many run at once as allowed, as a share of the time measured.",
        table(
            ["way", "max_concurrency", "calls", "seconds", "faster", "most in flight", "of the least possible"], rows
        ),
    )


if __name__ == "__main__":
    main()
