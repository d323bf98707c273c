"""Running every system on every query: each shared stage once, errors kept apart, cost measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tamis.engine.engine import Engine
from tamis.errors import ConfigError, MissingExtra
from tamis.evaluate.measure import peak_mib, reset_peak
from tamis.evaluate.result import Speed
from tamis.evaluate.tree import Node
from tamis.values.ranking import Ranking

Outcomes = Mapping[str, Ranking | BaseException]
"""By query id: the ranking, or the error that ended it."""
OnProgress = Callable[[int, int, str], None]
"""Called with queries done, queries in all, and what is being run."""

CONCURRENT = 64
"""How many queries are asked side by side."""


@dataclass(slots=True)
class Measured:
    """What a stage, or the stages of a system together, took besides calls: seconds of each query asked alone, seconds
    and number of the queries asked at the same time, and the peak of memory in MiB."""

    alone: dict[str, float] = field(default_factory=dict)
    concurrent_seconds: float = 0.0
    concurrent_queries: int = 0
    peak: float | None = None

    def then(self, other: Measured) -> Measured:
        """Both, one after the other, on the same queries."""
        peaks = [peak for peak in (self.peak, other.peak) if peak is not None]
        return Measured(
            {query: self.alone.get(query, 0.0) + seconds for query, seconds in other.alone.items()},
            self.concurrent_seconds + other.concurrent_seconds,
            other.concurrent_queries,
            max(peaks, default=None),
        )

    def speed(self) -> Speed:
        seconds = sorted(self.alone.values())
        total = sum(seconds) + self.concurrent_seconds
        queries = self.concurrent_queries or len(seconds)
        spent = self.concurrent_seconds if self.concurrent_queries else total
        return Speed(
            p50=_quantile(seconds, 0.5),
            p95=_quantile(seconds, 0.95),
            alone=len(seconds),
            throughput=queries / spent if spent and queries else None,
            peak_mib=self.peak,
        )


def _quantile(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


class Execution:
    """Runs a tree of stages over first-stage rankings.

    The first `alone` queries are asked one at a time, which shows how long one query takes. The others are asked
    at the same time, unless a stage made no calls: then one at a time is as quick, and all are timed.
    """

    def __init__(self, engine: Engine, alone: int, on_progress: OnProgress | None = None) -> None:
        self._engine = engine
        self._alone = alone
        self._report = on_progress or (lambda done, total, what: None)
        self._done = self._total = 0
        self.outcomes: dict[str, Outcomes] = {}
        self.measured: dict[str, Measured] = {}

    def run(self, root: Node, rankings: Mapping[str, Ranking]) -> None:
        self._total = len(rankings) * (sum(1 for _ in root.walk()) - 1)
        self._done = 0
        self._below(root, dict(rankings), Measured())

    def _below(self, node: Node, before: Outcomes, spent: Measured) -> None:
        for name in node.ends:
            self.outcomes[name], self.measured[name] = before, spent
        for child in node.children:
            after, took = self._stage(child, before)
            self._below(child, after, spent.then(took))

    def _stage(self, node: Node, before: Outcomes) -> tuple[Outcomes, Measured]:
        what = type(node.stage).__name__
        good = {query: found for query, found in before.items() if isinstance(found, Ranking)}
        self._done += len(before) - len(good)
        found: dict[str, Ranking | BaseException] = dict(before)
        took = Measured()
        waiting, calls = list(good), 0
        reset_peak()
        while waiting:
            single = len(took.alone) < self._alone or (took.alone and not calls)
            now, waiting = waiting[: 1 if single else CONCURRENT], waiting[1 if single else CONCURRENT :]
            started = time.perf_counter()
            results = self._engine.outcomes(node.stage, [good[query] for query in now]) if node.stage else []
            seconds = time.perf_counter() - started
            for query, result in zip(now, results, strict=True):
                found[query] = _checked(result)
                calls += _new_calls(good[query], result)
            if single:
                took.alone[now[0]] = seconds
            else:
                took.concurrent_seconds += seconds
                took.concurrent_queries += len(now)
            self._done += len(now)
            self._report(self._done, self._total, what)
        took.peak = peak_mib()
        return found, took


def _checked(result: Ranking | BaseException) -> Ranking | BaseException:
    """The result, but raises what would be the same error for every query."""
    if isinstance(result, (ConfigError, MissingExtra)) or (
        isinstance(result, BaseException) and not isinstance(result, Exception)
    ):
        raise result
    return result


def _new_calls(before: Ranking, result: Ranking | BaseException) -> int:
    """Calls of a stage, those that the cache answered or that failed included; an error counts as one."""
    if not isinstance(result, Ranking):
        return 1
    new, old = result.usage, before.usage
    return new.calls + new.cached + new.failed - old.calls - old.cached - old.failed
