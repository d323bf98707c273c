"""The engine: the only place that makes calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from tamis.engine.cache import Cache, DiskCache, MemoryCache
from tamis.engine.cancel import Cancellation
from tamis.engine.dispatch import Dispatcher, Job
from tamis.engine.drive import Asker, adrive, drive
from tamis.engine.limiter import Limiter
from tamis.engine.memory import Memory
from tamis.engine.pace import Pace
from tamis.engine.passages import DiskPassages, MemoryPassages, PassageCache
from tamis.engine.trace import Listener, Trace, log
from tamis.errors import BudgetError, ConfigError
from tamis.values.calls import Plan
from tamis.values.ranking import Candidate, Query, Ranking
from tamis.values.usage import Usage

Candidates = Iterable[str | Mapping[str, Any] | Candidate]


class Plans(Protocol):
    """What an engine drives: anything with a `plan`, such as a stage."""

    def plan(self, ranking: Ranking) -> Plan: ...


class Engine:
    """Drives stages and owns everything a production service asks for. Share one between threads and event loops.

    Args:
        deadline: seconds one rerank may take; then it returns with what it has, marked degraded.
        max_calls, max_tokens: budget of one rerank; what does not fit is not asked and keeps its incoming order.
        over_budget: `"stop"` when the budget is spent, or `"refuse"` beforehand (`BudgetError`, from a dry run).
        concurrency: batches in flight per model, over all reranks; default: what the model declares.
        retries: further tries after a transient failure, with exponential backoff and jitter from `backoff` seconds; a
            server's `Retry-After` is honoured.
        on_failure: `"keep"` the incoming order of what could not be judged, or `"raise"` `DegradedError`.
        cache: `"memory"`, a path ending in `.sqlite` (on disk), a `Cache`, or `None`. Only models that declare a
            `cache_key` are cached.
        passages: where the vectors that models make of passages are kept for later queries: `"memory"` (256 MiB, off
            without a `cache`), a folder (memory-mapped, shared by processes), a `PassageCache`, or `None`. With a
            `cache` of your own and no folder, single vectors go there.
        on_event: called with every `Event`, from any thread.

    >>> from tamis import Lexical
    >>> Engine(deadline=2.0).rerank(Lexical(), "tall mountain", ["a recipe", "a tall mountain"]).positions
    (1, 0)
    """

    def __init__(
        self,
        *,
        deadline: float | None = None,
        max_calls: int | None = None,
        max_tokens: int | None = None,
        over_budget: Literal["stop", "refuse"] = "stop",
        concurrency: int | None = None,
        retries: int = 2,
        backoff: float = 0.5,
        on_failure: Literal["keep", "raise"] = "keep",
        cache: Cache | str | None = "memory",
        passages: PassageCache | str | Path | None = "memory",
        on_event: Listener | None = None,
    ) -> None:
        _check("deadline", deadline, positive=True)
        for name, value in (("max_calls", max_calls), ("max_tokens", max_tokens), ("retries", retries)):
            _check(name, value)
        _check("concurrency", concurrency, positive=True)
        _one_of("on_failure", on_failure, ("keep", "raise"))
        _one_of("over_budget", over_budget, ("stop", "refuse"))
        self._options = {
            "deadline": deadline,
            "max_calls": max_calls,
            "max_tokens": max_tokens,
            "over_budget": over_budget,
            "concurrency": concurrency,
            "retries": retries,
            "backoff": backoff,
            "on_failure": on_failure,
            "cache": cache,
            "passages": passages,
            "on_event": on_event,
        }
        self.deadline = deadline
        self.max_calls = max_calls
        self.max_tokens = max_tokens
        self.over_budget = over_budget
        self.concurrency = concurrency
        self.retries = retries
        self.backoff = backoff
        self.on_failure = on_failure
        self.cache = _cache(cache)
        self.passages = _passages(None if cache is None and passages == "memory" else passages)
        self._memory = Memory(self.cache, self.passages, vectors=cache in (None, "memory") or passages != "memory")
        self.on_event = on_event
        self._limiters: dict[int, tuple[Any, Limiter, Pace | None]] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy or pickle has the same options and nothing in flight; a memory cache starts empty."""
        return _engine, (self._options,)

    def rerank(
        self, stage: Plans, query: str | Query, candidates: Candidates, *, cancel: Cancellation | None = None
    ) -> Ranking:
        """Rerank one query's candidates in this thread."""
        return self.rerank_many(stage, [Ranking.of(query, candidates)], cancel=cancel)[0]

    async def arerank(
        self, stage: Plans, query: str | Query, candidates: Candidates, *, cancel: Cancellation | None = None
    ) -> Ranking:
        """Rerank one query's candidates without blocking the event loop."""
        return (await self.arerank_many(stage, [Ranking.of(query, candidates)], cancel=cancel))[0]

    def rerank_many(
        self, stage: Plans, rankings: Sequence[Ranking], *, cancel: Cancellation | None = None
    ) -> list[Ranking]:
        """Rerank many queries abreast: each runs free, and their calls to one model are batched together.

        `rankings` are made with `Ranking.of(query, candidates)` or come from another stage. Results in the same order.
        Deadline and budget count for each query. The first error is raised after all have ended; `outcomes` keeps it
        from costing the others.
        """
        return _rankings(self.outcomes(stage, rankings, cancel=cancel))

    def outcomes(
        self, stage: Plans, rankings: Sequence[Ranking], *, cancel: Cancellation | None = None
    ) -> list[Ranking | BaseException]:
        """As `rerank_many`, with the error of a query in the place of its ranking."""
        trace = self._trace(stage, rankings)
        with trace.running():
            dispatcher = self._dispatcher(stage, rankings)
            drive(dispatcher, self._asker(trace), cancel)
            return self._outcomes(dispatcher, trace)

    async def arerank_many(
        self, stage: Plans, rankings: Sequence[Ranking], *, cancel: Cancellation | None = None
    ) -> list[Ranking]:
        """As `rerank_many`, without blocking the event loop."""
        trace = self._trace(stage, rankings)
        with trace.running():
            dispatcher = self._dispatcher(stage, rankings)
            await adrive(dispatcher, self._asker(trace), cancel)
            return _rankings(self._outcomes(dispatcher, trace))

    def dry_run(self, stage: Plans, query: str | Query, candidates: Candidates) -> Usage:
        """Predict calls, rounds, tokens (estimated) and FLOPs without asking any model.

        FLOPs are those of the models the stage holds; put `CostOnly(architecture=...)` in the place of one that is not
        at hand. Calls that a cache would answer are counted. Calls and rounds are exact for plans that do not depend
        on answers; a sort is predicted as of candidates that are in order already (shuffled, a heap of 100 takes 1.4
        times as many).

        >>> from tamis import Listwise
        >>> from tamis.models import CostOnly
        >>> Engine().dry_run(Listwise(CostOnly(), window=20, stride=10), "q", ["text"] * 100).calls
        9
        """
        job = _job(stage, Ranking.of(query, candidates))
        dispatcher = Dispatcher([job], memory=Memory(), concurrency=lambda model: 1)
        asker = Asker(lambda model: Limiter(1), lambda batch, outcome: None, retries=0, dry=True)
        drive(dispatcher, asker)
        if job.error is not None:
            raise job.error
        assert job.ranking is not None
        return job.ranking.usage

    def _dispatcher(self, stage: Plans, rankings: Sequence[Ranking]) -> Dispatcher:
        if self.over_budget == "refuse":
            for ranking in rankings:
                self._refuse_costly(stage, ranking)
        now = time.monotonic()
        deadline = None if self.deadline is None else now + self.deadline
        jobs = [
            _job(stage, ranking, deadline=deadline, max_calls=self.max_calls, max_tokens=self.max_tokens)
            for ranking in rankings
        ]
        return Dispatcher(jobs, memory=self._memory, concurrency=self._slots, on_failure=self.on_failure)

    def _refuse_costly(self, stage: Plans, ranking: Ranking) -> None:
        predicted = self.dry_run(stage, ranking.query, ranking.candidates)
        for name, limit, cost in (
            ("calls", self.max_calls, predicted.calls),
            ("tokens", self.max_tokens, predicted.tokens),
        ):
            if limit is not None and cost > limit:
                raise BudgetError(
                    f"{len(ranking)} candidates would take about {cost} {name}, more than the budget of {limit}. "
                    f"Raise max_{name}, lower the stage's depth, or use over_budget='stop'."
                )

    def _asker(self, trace: Trace) -> Asker:
        return Asker(self._limiter, trace.batch, self.retries, self.backoff, pace=self._pace)

    def _slots(self, model: Any) -> int:
        return max(1, self.concurrency or getattr(model, "max_concurrency", 1))

    def _limiter(self, model: Any) -> Limiter:
        return self._limits(model)[1]

    def _pace(self, model: Any) -> Pace | None:
        return self._limits(model)[2]

    def _limits(self, model: Any) -> tuple[Any, Limiter, Pace | None]:
        with self._lock:
            if id(model) not in self._limiters:
                self._limiters[id(model)] = (model, Limiter(self._slots(model)), _pace_of(model))
            return self._limiters[id(model)]

    def _trace(self, stage: Plans, rankings: Sequence[Ranking]) -> Trace:
        return Trace(self.on_event, type(stage).__name__, len(rankings), sum(map(len, rankings)))

    def _outcomes(self, dispatcher: Dispatcher, trace: Trace) -> list[Ranking | BaseException]:
        outcomes = [job.error or job.ranking for job in dispatcher.jobs]
        results = [outcome for outcome in outcomes if isinstance(outcome, Ranking)]
        degraded = sum(ranking.degraded for ranking in results)
        if degraded:
            log.warning("%d of %d rerankings are degraded: %s", degraded, len(results), _why(results))
        trace.end(sum((ranking.usage for ranking in results), Usage()), bool(degraded))
        return [outcome for outcome in outcomes if outcome is not None]


def _pace_of(model: Any) -> Pace | None:
    requests, tokens = (getattr(model, f"{what}_per_minute", None) for what in ("requests", "tokens"))
    return Pace(requests, tokens) if requests or tokens else None


def _engine(options: dict[str, Any]) -> Engine:
    return Engine(**options)


def _rankings(outcomes: Sequence[Ranking | BaseException]) -> list[Ranking]:
    """The rankings; raises the first error."""
    rankings = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        rankings.append(outcome)
    return rankings


def _job(stage: Plans, ranking: Ranking, **limits: Any) -> Job:
    return Job(stage.plan(ranking), ranking, **limits)


def _why(rankings: Sequence[Ranking]) -> str:
    """The first notice of a degraded ranking: counts and kinds of failure, no text of queries or candidates."""
    return next(str(notice) for ranking in rankings for notice in ranking.warnings if notice.degraded)


def _cache(cache: Cache | str | None) -> Cache | None:
    if cache == "memory":
        return MemoryCache()
    if isinstance(cache, str):
        if not cache.endswith(".sqlite"):
            raise ConfigError(f"cache must be 'memory', None, a Cache or a path ending in '.sqlite', got {cache!r}")
        return DiskCache(cache)
    return cache


def _passages(passages: PassageCache | str | Path | None) -> PassageCache | None:
    if passages == "memory":
        return MemoryPassages()
    return DiskPassages(passages) if isinstance(passages, (str, Path)) else passages


def _check(name: str, value: float | None, *, positive: bool = False) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0 or (positive and value == 0):
        raise ConfigError(f"{name} must be {'> 0' if positive else '>= 0'} or None, got {value!r}")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
