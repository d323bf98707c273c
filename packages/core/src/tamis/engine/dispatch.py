"""The engine's heart, without I/O: which calls are ready, which batch goes out next, which plan an answer belongs to.

Both drivers (threads, asyncio) run the same `Dispatcher`, so that sync, async and many-at-once cannot differ.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDone
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tamis.compute.architectures import architecture_of
from tamis.compute.flops import Architecture
from tamis.engine.answers import failed, is_the_callers, is_the_users, said
from tamis.engine.cost import charge, kept
from tamis.engine.memory import Memory
from tamis.engine.traits import check_limits, group_of, whole, with_thoughts
from tamis.engine.workers import NoThread
from tamis.errors import DegradedError
from tamis.values.answers import Answer, Failure
from tamis.values.calls import Call, Plan
from tamis.values.images import refused
from tamis.values.ranking import Notice, Ranking
from tamis.values.usage import Usage

PATIENCE = 0.05
"""Seconds a plan may compute while the other plans of a dispatcher wait for it."""
LATE = Failure("deadline", "the deadline passed before a stage had ended")
TURNED_DOWN = Failure("error", "the request was turned down")
LATER = Failure("budget", "calls under way may give back part of the budget")


@dataclass(eq=False)
class Job:
    """One plan being driven: what it waits for, what it may still spend, what it has spent."""

    plan: Plan
    before: Ranking
    deadline: float | None = None
    max_calls: int | None = None
    max_tokens: int | None = None
    started: float = field(default_factory=time.monotonic)
    answers: list[Any] = field(default_factory=list)
    open: int = 0
    stopped: Failure | None = None
    reserved_calls: int = 0
    reserved_tokens: int = 0
    spent_tokens: int = 0
    parked: deque[Work] = field(default_factory=deque)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lost: list[Failure] = field(default_factory=list)
    """Requests that failed and were made again."""
    away: Future[Any] | None = None
    """The step of the plan that others do not wait for any longer."""
    ranking: Ranking | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.ranking is not None or self.error is not None

    def usage(self) -> Usage:
        """What this rerank has cost."""
        lost = Usage(
            tokens_in=sum(failure.tokens_in or 0 for failure in self.lost),
            tokens_out=sum(failure.tokens_out or 0 for failure in self.lost),
        )
        return lost + Usage(**self.counts, seconds=time.monotonic() - self.started)

    def spend(self, **more: int) -> None:
        """Add to the counts of `Usage` of these names."""
        for name, value in more.items():
            self.counts[name] += value


@dataclass(eq=False, slots=True)
class Ticket:
    """A place in a job's list of answers."""

    job: Job
    round: list[Any]
    index: int

    @property
    def live(self) -> bool:
        return self.job.answers is self.round and self.round[self.index] is None and not self.job.done


@dataclass(eq=False, slots=True)
class Work:
    """One call to make, the tokens reserved for it, and all that wait for its answer."""

    call: Call
    key: bytes | None
    tokens: int
    tickets: list[Ticket]


@dataclass(eq=False, slots=True)
class Batch:
    """Calls of one capability that one model answers together."""

    model: Any
    capability: str
    works: list[Work]

    @property
    def calls(self) -> list[Call]:
        return [work.call for work in self.works]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a batch: answers, or the error that ended it; `retries` made on the way; `seconds` it took."""

    answers: Sequence[Any] | None
    error: BaseException | None = None
    retries: int = 0
    seconds: float = 0.0


class Dispatcher:
    """Drives any number of jobs. Give every batch of `take()` to its model and bring the outcome to `settle`.

    `apart`: runs a step of a plan in another thread. With it and several jobs, a plan that computes for longer than
    `PATIENCE` is left to itself while the others go on; `returned` is called from its thread when it is back, and
    `resume` takes it in.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        *,
        memory: Memory,
        concurrency: Callable[[Any], int],
        on_failure: str = "keep",
    ) -> None:
        self.jobs = jobs
        self._memory = memory
        self._concurrency = concurrency
        self._on_failure = on_failure
        self._queues: dict[tuple[int, str], dict[Any, deque[Work]]] = {}
        self._in_flight: dict[tuple[int, str], int] = {}
        self._shared: dict[bytes, Work] = {}
        self._reserving = threading.Lock()
        self.apart: Callable[[Callable[[], Any]], Future[Any]] | None = None
        self.returned: Callable[[Job], None] = lambda job: None

    def start(self) -> None:
        for job in self.jobs:
            self._advance(job, None)

    @property
    def finished(self) -> bool:
        return all(job.done for job in self.jobs)

    def seconds_left(self) -> float | None:
        """Until the nearest deadline; `None` without one."""
        deadlines = [job.deadline for job in self.jobs if job.deadline is not None and not job.done]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def last_seconds(self) -> float | None:
        """Until every job still open has passed its deadline; `None` when one has none."""
        deadlines = [job.deadline for job in self.jobs if not job.done]
        if not deadlines or any(deadline is None for deadline in deadlines):
            return None
        return max(0.0, max(deadline for deadline in deadlines if deadline is not None) - time.monotonic())

    def take(self) -> Iterator[Batch]:
        """Batches that may go out now, oldest calls first, no more at once than each model allows."""
        for key, groups in self._queues.items():
            while groups:
                group, queue = next(iter(groups.items()))
                model = queue[0].call.model
                if self._in_flight.get(key, 0) >= _or_one(partial(self._concurrency, model)):
                    break
                works = self._next(queue, _or_one(partial(whole, model, "max_batch")))
                if not queue:
                    del groups[group]
                if works:
                    self._in_flight[key] = self._in_flight.get(key, 0) + 1
                    yield Batch(model, works[0].call.capability, works)

    def _next(self, queue: deque[Work], size: int) -> list[Work]:
        """The oldest calls somebody still waits for, `size` at most."""
        works: list[Work] = []
        while queue and len(works) < size:
            work = queue.popleft()
            if any(ticket.live for ticket in work.tickets):
                works.append(work)
            else:
                self._forget(work)
        return works

    def again(self, batch: Batch, tokens: int | None = None, error: BaseException | None = None) -> bool:
        """Reserve another request for a batch in the budgets of those that wait; false when one of them cannot pay for
        it.

        `tokens`: what it may cost per call, on top of what was reserved; `None`: the request before failed, with
        `error` if not turned down, and what that may have cost is gone. Called from the threads that ask models.
        """
        count = len(batch.works)
        failures = [TURNED_DOWN if error is None else failed(error, place, count) for place in range(count)]
        with self._reserving:
            paid: dict[int, list[Work]] = {}
            lost: dict[int, list[Failure]] = {}
            for work, failure in zip(batch.works, failures, strict=True):
                job = work.tickets[0].job
                paid.setdefault(id(job), []).append(work)
                lost.setdefault(id(job), []).append(failure)
            again = [
                (
                    works[0].tickets[0].job,
                    works,
                    sum(kept(work.call, failure, work.tokens) for work, failure in zip(works, lost[key], strict=True))
                    if tokens is None
                    else tokens * len(works),
                )
                for key, works in paid.items()
            ]
            for job, works, cost in again:
                if job.max_calls is not None and job.reserved_calls + len(works) > job.max_calls:
                    return False
                if job.max_tokens is not None and job.reserved_tokens + cost > job.max_tokens:
                    return False
            for job, works, cost in again:
                job.reserved_calls += len(works)
                job.reserved_tokens += cost
                if tokens is None:
                    job.spent_tokens += cost
                    job.lost += lost[id(job)]
                elif job.max_tokens is not None:
                    for work in works:
                        work.tokens += tokens
            return True

    def settle(self, batch: Batch, outcome: Outcome) -> None:
        """Hand the answers of a batch to those that wait, and advance every plan that has all it asked for."""
        self._in_flight[id(batch.model), batch.capability] -= 1
        answers = _answers(batch, outcome)
        raised = outcome.error if is_the_callers(outcome.error) else None
        architecture = _architecture(batch.model)
        self._memory.put(
            (work.call, work.key, answer)
            for work, answer in zip(batch.works, answers, strict=True)
            if work.key is not None and isinstance(answer, Answer)
        )
        waiting: dict[int, Job] = {}
        for work, answer in zip(batch.works, answers, strict=True):
            self._forget(work)
            for rank, ticket in enumerate(work.tickets):
                if ticket.live:
                    waiting[id(ticket.job)] = ticket.job
                    try:
                        self._deliver(ticket, answer, work, architecture, first=rank == 0)
                    except Exception as error:
                        self._abort(ticket.job, error)
        if waiting and outcome.retries:
            next(iter(waiting.values())).spend(retries=outcome.retries)
        for job in waiting.values():
            if job.done:
                continue
            if raised is not None:
                self._abort(job, raised)
            else:
                self._unpark(job)
                if job.open == 0:
                    self._advance(job, job.answers)

    def stop(
        self, failure: Failure, where: Callable[[Job], bool] = lambda job: True, *, behind: Failure | None = None
    ) -> None:
        """End jobs with what they have: every answer they wait for, now or later, becomes `failure`. What is left to
        itself ends with the ranking it began with, cut short by `behind` (default `failure`)."""
        for job in self.jobs:
            if not job.done and job.stopped is None and where(job):
                job.stopped = failure
                if job.away is not None:
                    self._end(job, cut_short(job, behind or failure))
                    continue
                job.spend(failed=job.open)
                answers = [failure if answer is None else answer for answer in job.answers]
                self._advance(job, answers)

    def expire(self) -> None:
        """Stop the jobs whose deadline has passed."""
        now = time.monotonic()
        self.stop(
            Failure("deadline", "the deadline passed before the model answered"),
            lambda job: job.deadline is not None and job.deadline <= now,
            behind=LATE,
        )

    def resume(self, job: Job) -> None:
        """Take in a plan that was left to itself and is back."""
        back, job.away = job.away, None
        if back is not None and not job.done:
            self._advance(job, job.answers, back)

    def _step(self, job: Job, answers: Sequence[Any] | None) -> Future[Any] | None:
        """The next step of a plan in another thread; `None` when it takes longer than others may wait."""
        assert self.apart is not None
        step = self.apart(partial(next, job.plan) if answers is None else partial(job.plan.send, answers))
        try:
            step.exception(PATIENCE)
        except NotDone:
            job.away = step
            step.add_done_callback(lambda _: self.returned(job))
            return None
        return step

    def _advance(self, job: Job, answers: Sequence[Any] | None, step: Future[Any] | None = None) -> None:
        """Until the plan waits for answers or ends. `step`: one that is made already."""
        while True:
            try:
                if self.apart is not None and len(self.jobs) > 1:
                    step = step or self._step(job, answers)
                    if step is None:
                        return None
                    calls, step = step.result(), None
                else:
                    calls = next(job.plan) if answers is None else job.plan.send(answers)
                job.answers, job.open = [None] * len(calls), 0
                for index, call in enumerate(calls):
                    answer = self._answer_now(job, call, index)
                    if answer is None:
                        job.open += 1
                    else:
                        job.answers[index] = answer
            except StopIteration as stop:
                return self._finish(job, stop.value)
            except NoThread as error:
                return self._end(job, cut_short(job, failed(error)))
            except BaseException as error:
                if is_the_users(error):
                    raise
                return self._abort(job, error)
            if job.open:
                job.spend(rounds=1)
                return None
            answers = job.answers

    def _answer_now(self, job: Job, call: Call, index: int) -> Any:
        """The answer when no model is needed for it, else `None` and the call is queued."""
        if failure := job.stopped or refused(call):
            job.spend(failed=1)
            return failure
        key = self._memory.key(call)
        if key is not None and (cached := self._memory.get(call, key)) is not None:
            job.spend(cached=1)
            return cached
        call = with_thoughts(call)
        ticket = Ticket(job, job.answers, index)
        if key is not None and key in self._shared:
            self._shared[key].tickets.append(ticket)
            return None
        work = Work(call, key, call.tokens_at_most() if job.max_tokens is not None else 0, [ticket])
        if refusal := self._reserve(job, work):
            if refusal is LATER:
                job.parked.append(work)
                return None
            job.spend(failed=1)
            return refusal
        self._enqueue(work)
        return None

    def _reserve(self, job: Job, work: Work) -> Failure | None:
        """Take the cost of a call out of the job's budget. A `Failure` when it does not fit: `LATER` while calls that
        are under way may give back part of what was reserved for them."""
        if job.max_calls is None and job.max_tokens is None:
            return None
        with self._reserving:
            if job.max_calls is not None and job.reserved_calls + 1 > job.max_calls:
                return Failure("budget", f"the budget of {job.max_calls} calls is spent")
            if job.max_tokens is not None and job.reserved_tokens + work.tokens > job.max_tokens:
                spent = Failure("budget", f"the budget of {job.max_tokens} tokens is spent")
                return LATER if job.reserved_tokens > job.spent_tokens else spent
            job.reserved_calls += 1
            job.reserved_tokens += work.tokens
            return None

    def _enqueue(self, work: Work) -> None:
        if work.key is not None:
            self._shared[work.key] = work
        self._queue_of(work.call).append(work)

    def _unpark(self, job: Job) -> None:
        """Ask what waited for the budget, as far as it reaches now."""
        while job.parked:
            work = job.parked[0]
            (ticket,) = work.tickets
            refusal = self._reserve(job, work) if ticket.live else None
            if refusal is LATER:
                return
            job.parked.popleft()
            if not ticket.live:
                continue
            if refusal is None:
                self._enqueue(work)
            else:
                ticket.round[ticket.index] = refusal
                job.open -= 1
                job.spend(failed=1)

    def _queue_of(self, call: Call) -> deque[Work]:
        """Calls wait with those they may share a batch with."""
        key = id(call.model), call.capability
        if key not in self._queues:
            check_limits(call.model)
        groups = self._queues.setdefault(key, {})
        return groups.setdefault(group_of(call), deque())

    def _deliver(self, ticket: Ticket, answer: Any, work: Work, architecture: Architecture | None, first: bool) -> None:
        job = ticket.job
        ticket.round[ticket.index] = answer
        job.open -= 1
        if isinstance(answer, Failure):
            job.spend(failed=1)
            if first:
                job.spend(tokens_in=answer.tokens_in or 0, tokens_out=answer.tokens_out or 0)
        elif not first:
            job.spend(cached=1)
        else:
            spent = charge(job.counts, architecture, work.call, answer)
            if job.max_tokens is None:
                return
            if work.tokens:
                # What a model reports can only raise what the budget is charged.
                read = work.call.tokens_read()
                if answer.tokens_in is None or answer.tokens_in < read:
                    read = work.call.read_at_most()
                spent = max(spent, read + answer.tokens_written())
            with self._reserving:
                job.spent_tokens += spent
                job.reserved_tokens += spent - work.tokens
            return
        if first and job.max_tokens is not None:
            with self._reserving:
                spent = kept(work.call, answer, work.tokens)
                job.spent_tokens += spent
                job.reserved_tokens += spent - work.tokens

    def give_up(self, failure: Failure, where: Callable[[Job], bool] = lambda job: True) -> None:
        """End jobs whose plans do not come back, with the ranking they began with. No plan is asked."""
        for job in self.jobs:
            if not job.done and where(job):
                self._end(job, cut_short(job, failure))

    def _finish(self, job: Job, ranking: Any) -> None:
        if not isinstance(ranking, Ranking):
            return self._abort(job, TypeError(f"a plan must return a Ranking, it returned {type(ranking).__name__}"))
        return self._end(job, replace(ranking, usage=ranking.usage + job.usage()))

    def _end(self, job: Job, outcome: Ranking | BaseException) -> None:
        """Once: a plan that comes back after its deadline changes nothing any more."""
        if isinstance(outcome, Ranking) and outcome.degraded and self._on_failure == "raise":
            messages = "; ".join(str(notice) for notice in outcome.warnings if notice.degraded)
            outcome = DegradedError(messages, outcome)
        with self._reserving:
            if job.done:
                return
            if isinstance(outcome, Ranking):
                job.ranking = outcome
            else:
                job.error = outcome

    def _abort(self, job: Job, error: BaseException) -> None:
        self._end(job, error)
        try:
            job.plan.close()
        except Exception as second:
            error.add_note(f"its plan did not end either: {type(second).__name__}: {said(second)}")

    def _forget(self, work: Work) -> None:
        if work.key is not None and self._shared.get(work.key) is work:
            del self._shared[work.key]


def _architecture(model: Any) -> Architecture | None:
    """For the FLOPs of its calls, which are unknown where it cannot be read."""
    try:
        return architecture_of(model)
    except BaseException as error:
        if is_the_users(error):
            raise
        return None


def _or_one(limit: Callable[[], int | None]) -> int:
    """A limit of a model, 1 where it says none or can no longer be read. It was checked when its first call came."""
    try:
        return limit() or 1
    except BaseException as error:
        if is_the_users(error):
            raise
        return 1


def _answers(batch: Batch, outcome: Outcome) -> list[Any]:
    """One answer or `Failure` per call, whatever the model did."""
    if outcome.error is not None:
        count = len(batch.works)
        return [failed(outcome.error, place, count) for place in range(count)]
    return list(outcome.answers or ())


def cut_short(job: Job, failure: Failure) -> Ranking:
    """What there is of a job whose plan did not come back in time: the ranking it began with, marked degraded."""
    notice = Notice(f"the rerank was cut short ({failure}); the incoming order is kept", job.before.positions)
    return replace(job.before.warn(notice), usage=job.before.usage + job.usage())
