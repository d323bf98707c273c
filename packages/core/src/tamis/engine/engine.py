"""The engine: the only place that makes calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Protocol, TypedDict, Unpack

from tamis.engine.asker import Asker
from tamis.engine.cache import Cache, DiskCache, MemoryCache
from tamis.engine.cancel import Cancellation
from tamis.engine.dispatch import Dispatcher, Job
from tamis.engine.drive import adrive, drive
from tamis.engine.memory import Memory
from tamis.engine.options import checked
from tamis.engine.trace import Listener, Trace, log
from tamis.engine.traits import whole
from tamis.engine.turns import turns_here
from tamis.engine.vectors import DiskVectors, MemoryVectors, VectorCache
from tamis.errors import BudgetError
from tamis.parts.dump import dump_fields
from tamis.values.calls import Plan
from tamis.values.ranking import Candidate, Query, Ranking
from tamis.values.similarity import Scores
from tamis.values.usage import Usage

Candidates = Iterable[str | Mapping[str, Any] | Candidate]


class Plans(Protocol):
    """What an engine drives: anything with a `plan`, such as a stage."""

    def plan(self, ranking: Ranking) -> Plan: ...


class Arguments(TypedDict, total=False):
    """The keyword arguments of `Engine`."""

    deadline: float | None
    max_calls: int | None
    max_tokens: int | None
    over_budget: Literal["stop", "refuse"]
    concurrency: int | None
    retries: int
    backoff: float | None
    on_failure: Literal["keep", "raise"]
    cache: Cache | str | Path | None
    vectors: VectorCache | str | Path | None
    on_event: Listener | None


class Engine:
    """Drives stages and owns everything a production service asks for. Share one between threads and event loops.

    Args:
        deadline: seconds one rerank may take; then it returns with what it has, marked degraded.
        max_calls, max_tokens: budget of one rerank; what does not fit is not asked and keeps its incoming order.
        over_budget: `"stop"` when the budget is spent, or `"refuse"` beforehand (`BudgetError`, from a dry run), which
            needs a budget.
        concurrency: batches in flight per model, in place of what the model declares (`max_concurrency`, else 1).
        retries: further tries after a transient failure; a server's `Retry-After` is honoured.
        backoff: seconds before the first of them (default 0.5), then exponentially more, with jitter; refused with
            `retries=0`.
        on_failure: `"keep"` the incoming order of what could not be judged, or `"raise"` `DegradedError`.
        cache: `"memory"`, a path ending in `.sqlite` (on disk), a `Cache`, or `None`. Only models that declare a
            `cache_key` are cached.
        vectors: where the vectors that models make of passages are kept for later queries: `"memory"` (256 MiB; needs
            a `cache`; without one the default is `None`), a folder (memory-mapped, shared by processes), a
            `VectorCache`, or `None`. With a `cache` of your own and no folder, single vectors go there.
        on_event: called with every `Event`, from any thread.

    >>> from tamis import Lexical
    >>> Engine(deadline=2.0).rerank(Lexical(), "tall mountain", ["a recipe", "a tall mountain"]).positions
    (1, 0)
    """

    def __init__(self, **options: Unpack[Arguments]) -> None:
        self.options = checked(options)
        cache, vectors = self.options.cache, self.options.vectors
        self.cache: Cache | None = MemoryCache() if cache == "memory" else _on_disk(DiskCache, cache)
        if vectors == "memory":
            vectors = None if cache is None else MemoryVectors()
        self.vectors: VectorCache | None = _on_disk(DiskVectors, vectors)
        beside = cache in (None, "memory") or self.options.vectors != "memory"
        self._memory = Memory(self.cache, self.vectors, vectors=beside)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy or pickle has the same options and nothing in flight; a memory cache starts empty."""
        return _engine, ({f.name: getattr(self.options, f.name) for f in fields(self.options)},)

    def __repr__(self) -> str:
        given = (f"{name}={value!r}" for name, value in dump_fields(self.options).items())
        return f"Engine({', '.join(given)})"

    def rerank(
        self,
        stage: Plans,
        query: str | Query,
        candidates: Candidates,
        *,
        scores: Scores = "detect",
        cancel: Cancellation | None = None,
    ) -> Ranking:
        """Rerank one query's candidates in this thread. `scores`: what first-stage scores are, see `Ranking.of`."""
        return self.rerank_many(stage, [Ranking.of(query, candidates, scores=scores)], cancel=cancel)[0]

    async def arerank(
        self,
        stage: Plans,
        query: str | Query,
        candidates: Candidates,
        *,
        scores: Scores = "detect",
        cancel: Cancellation | None = None,
    ) -> Ranking:
        """As `rerank`, without blocking the event loop."""
        began = time.monotonic()
        turns = turns_here()
        await turns.next(self.options.deadline, cancel)
        try:
            rankings = [Ranking.of(query, candidates, scores=scores)]
            return _rankings(await self._aoutcomes(stage, rankings, cancel, began))[0]
        finally:
            turns.end()

    def rerank_many(
        self, stage: Plans, rankings: Sequence[Ranking], *, cancel: Cancellation | None = None
    ) -> list[Ranking]:
        """Rerank many queries at the same time; their calls to one model share batches.

        `rankings` are made with `Ranking.of(query, candidates)`, which takes scores for similarities unless `scores`
        says otherwise, or come from another stage. Results in the same order.
        Deadline and budget count for each query. The first error is raised after all have ended; `outcomes` keeps it
        from costing the others.
        """
        return _rankings(self.outcomes(stage, rankings, cancel=cancel))

    def outcomes(
        self, stage: Plans, rankings: Sequence[Ranking], *, cancel: Cancellation | None = None
    ) -> list[Ranking | BaseException]:
        """As `rerank_many`, with the error of a query in place of its ranking."""
        trace = self._trace(stage, rankings)
        with trace.running():
            dispatcher = self._dispatcher(stage, rankings)
            drive(dispatcher, self._asker(trace, dispatcher), cancel)
            return self._outcomes(dispatcher, trace)

    async def arerank_many(
        self, stage: Plans, rankings: Sequence[Ranking], *, cancel: Cancellation | None = None
    ) -> list[Ranking]:
        """As `rerank_many`, without blocking the event loop."""
        return _rankings(await self.aoutcomes(stage, rankings, cancel=cancel))

    async def aoutcomes(
        self, stage: Plans, rankings: Sequence[Ranking], *, cancel: Cancellation | None = None
    ) -> list[Ranking | BaseException]:
        """As `outcomes`, without blocking the event loop."""
        began = time.monotonic()
        turns = turns_here()
        await turns.next(self.options.deadline, cancel)
        try:
            return await self._aoutcomes(stage, rankings, cancel, began)
        finally:
            turns.end()

    async def _aoutcomes(
        self, stage: Plans, rankings: Sequence[Ranking], cancel: Cancellation | None, began: float
    ) -> list[Ranking | BaseException]:
        trace = self._trace(stage, rankings)
        with trace.running():
            dispatcher = self._dispatcher(stage, rankings, began)
            await adrive(dispatcher, self._asker(trace, dispatcher), cancel)
            return self._outcomes(dispatcher, trace)

    def dry_run(self, stage: Plans, query: str | Query, candidates: Candidates) -> Usage:
        """Predict calls, rounds, tokens (estimated) and FLOPs without asking any model.

        FLOPs are those of the models the stage holds; put `CostOnly(architecture=...)` in the place of one that is not
        at hand. Calls that a cache would answer are counted. Calls and rounds are exact for plans that do not depend
        on answers; a sort is predicted as of candidates that are in order already (shuffled, a heap of 100 takes 1.4
        times as many). Tokens out include all that models may think (`Usage.thoughts`): an upper bound.

        >>> from tamis import Listwise
        >>> from tamis.models import CostOnly
        >>> Engine().dry_run(Listwise(CostOnly(), window=20, stride=10), "q", ["text"] * 100).calls
        9
        """
        ranking = Ranking.of(query, candidates)
        job = Job(_plan(stage, ranking), ranking)
        dispatcher = Dispatcher([job], memory=Memory(), concurrency=lambda model: 1)
        asker = Asker(lambda model: 1, lambda batch, outcome: None, retries=0, dry=True)
        drive(dispatcher, asker)
        if job.error is not None:
            raise job.error
        assert job.ranking is not None
        return job.ranking.usage

    def _dispatcher(self, stage: Plans, rankings: Sequence[Ranking], began: float | None = None) -> Dispatcher:
        given = self.options
        began = time.monotonic() if began is None else began
        deadline = None if given.deadline is None else began + given.deadline
        limits: dict[str, Any] = {"deadline": deadline, "max_calls": given.max_calls, "max_tokens": given.max_tokens}
        check = self._refuse_costly if given.over_budget == "refuse" else None
        jobs = [Job(_plan(stage, ranking, check), ranking, **limits) for ranking in rankings]
        return Dispatcher(jobs, memory=self._memory, concurrency=self._slots, on_failure=self.options.on_failure)

    def _refuse_costly(self, stage: Plans, ranking: Ranking) -> None:
        predicted = self.dry_run(stage, ranking.query, ranking.candidates)
        for name, limit, cost in (
            ("calls", self.options.max_calls, predicted.calls),
            ("tokens", self.options.max_tokens, predicted.tokens),
        ):
            if limit is not None and cost > limit:
                raise BudgetError(
                    f"{len(ranking)} candidates would take about {cost} {name}, more than the budget of {limit}. "
                    f"Raise max_{name}, lower the stage's depth, or use over_budget='stop'."
                )

    def _asker(self, trace: Trace, dispatcher: Dispatcher) -> Asker:
        return Asker(
            self._slots, trace.batch, self.options.retries, self.options.backoff or 0.0, again=dispatcher.again
        )

    def _slots(self, model: Any) -> int:
        return self.options.concurrency or whole(model, "max_concurrency") or 1

    def _trace(self, stage: Plans, rankings: Sequence[Ranking]) -> Trace:
        return Trace(self.options.on_event, type(stage).__name__, len(rankings), sum(map(len, rankings)))

    def _outcomes(self, dispatcher: Dispatcher, trace: Trace) -> list[Ranking | BaseException]:
        outcomes = [job.error or job.ranking for job in dispatcher.jobs]
        results = [outcome for outcome in outcomes if isinstance(outcome, Ranking)]
        degraded = sum(ranking.degraded for ranking in results)
        if degraded:
            log.warning("%d of %d rerankings are degraded: %s", degraded, len(results), _why(results))
        trace.end(sum((ranking.usage for ranking in results), Usage()), bool(degraded))
        return [outcome for outcome in outcomes if outcome is not None]


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


def _plan(stage: Plans, ranking: Ranking, check: Callable[[Plans, Ranking], None] | None = None) -> Plan:
    """The plan of `stage`, after `check`. What either raises is raised where the plan begins, so that it ends this
    query and no other."""
    if check is not None:
        check(stage, ranking)
    plan = stage.plan(ranking)
    if not hasattr(plan, "send"):
        raise TypeError(
            f"{type(stage).__name__}.plan must be a generator, which yields lists of calls and returns a Ranking; it "
            f"returned {type(plan).__name__}. One that asks no model begins with `yield from ()`."
        )
    return (yield from plan)


def _why(rankings: Sequence[Ranking]) -> str:
    """The first notice of a degraded ranking: counts and kinds of failure, no text of queries or candidates."""
    return next(str(notice) for ranking in rankings for notice in ranking.warnings if notice.degraded)


def _on_disk(kind: Callable[[Any], Any], kept: Any) -> Any:
    """A cache from the path of its file or folder; anything else as it is."""
    return kind(kept) if isinstance(kept, (str, Path)) else kept
