"""How one batch reaches its model: within the model's limits, under the retry policy, and never with an exception."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import tenacity

from tamis.engine.allowance import allowing
from tamis.engine.answers import is_the_users, listed, sound
from tamis.engine.cost import call_tokens
from tamis.engine.dispatch import Batch, Outcome
from tamis.engine.limiter import POLL, Lease
from tamis.engine.limits import limits_of
from tamis.engine.retry import policy
from tamis.engine.traits import name_of, whole
from tamis.engine.workers import in_model_thread
from tamis.errors import CapabilityError

_holding: ContextVar[tuple[Lease, ...]] = ContextVar("tamis_models_held", default=())
"""The places this thread or task holds: a model that reranks inside its own call needs no second one."""


class Abandoned:
    """Set once nobody waits for the answers any more. Gives back the slots of models that have not answered by then, so
    that a model that hangs does not keep its slot for ever, and those that an interrupt kept from being given back."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._leases: set[Lease] = set()
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return self.event.is_set()

    def hold(self, lease: Lease) -> None:
        """Before the lease holds anything: an interrupt may come between any two lines."""
        with self._lock:
            self._leases.add(lease)
        if self:
            lease.release()

    def let_go(self, lease: Lease) -> None:
        lease.release()
        with self._lock:
            self._leases.discard(lease)

    def set(self) -> None:
        self.event.set()
        with self._lock:
            leases = list(self._leases)
        for lease in leases:
            lease.release()


@dataclass(frozen=True)
class Asker:
    """Sends one batch to its model.

    `slots`: how many batches may be in flight per model, for this engine. `again`: whether a batch may be tried once
    more, by the budgets of those that wait.
    """

    slots: Callable[[Any], int]
    observe: Callable[[Batch, Outcome], None]
    retries: int = 2
    backoff: float = 0.5
    dry: bool = False
    again: Callable[[Batch, int | None, BaseException | None], bool] = lambda batch, tokens, error: True

    def ask(self, batch: Batch, abandoned: Abandoned) -> Outcome:
        """In this thread. Once `abandoned` nobody waits any more and no retry is made.

        A `KeyboardInterrupt` in the main thread is the user's own and is raised.
        """
        if self.dry:
            return Outcome([call.stand_in() for call in batch.calls])
        held, lease = self._place(batch)
        try:
            if lease is not None:
                abandoned.hold(lease)
                while not lease.acquire(POLL):
                    if abandoned:
                        return Outcome(None, TimeoutError("no slot became free in time"))
            token = _holding.set(held)
            try:
                outcome = self._asked(batch, abandoned)
            finally:
                _holding.reset(token)
        finally:
            if lease is not None:
                abandoned.let_go(lease)
        self.observe(batch, outcome)
        return outcome

    def _place(self, batch: Batch) -> tuple[tuple[Lease, ...], Lease | None]:
        """What this thread or task holds during the batch, and the one of these that is still to be acquired."""
        limiter = limits_of(batch.model).limiter
        held = tuple(lease for lease in _holding.get() if lease.holds)
        if any(lease.limiter is limiter for lease in held):
            return held, None
        lease = Lease(limiter, self.slots(batch.model), held)
        return (*held, lease), lease

    def _asked(self, batch: Batch, abandoned: Abandoned) -> Outcome:
        started, attempts = time.monotonic(), 0
        settings = policy(self.retries, self.backoff, lambda error: not abandoned and self.again(batch, None, error))
        more = _More(self, batch, abandoned)
        try:
            for attempt in tenacity.Retrying(sleep=tenacity.sleep_using_event(abandoned.event), **settings):
                with attempt:
                    attempts += 1
                    while wait := self.wait(batch):
                        if abandoned.event.wait(wait):
                            raise TimeoutError("nobody waits for the answer any more")
                    if abandoned:
                        raise TimeoutError("nobody waits for the answer any more")
                    with allowing(more):
                        answers = self._read(batch, self._method(batch, "")(batch.calls))
            return Outcome(answers, None, attempts - 1 + more.sent, time.monotonic() - started)
        except BaseException as error:
            if is_the_users(error):
                raise
            return Outcome(None, error, max(0, attempts - 1) + more.sent, time.monotonic() - started)

    async def aask(self, batch: Batch, abandoned: Abandoned) -> Outcome:
        """In this event loop when the model has an async method, else in a thread."""
        if self.dry or getattr(batch.model, "a" + batch.capability, None) is None:
            return await asyncio.wrap_future(in_model_thread(lambda: self.ask(batch, abandoned)))
        held, lease = self._place(batch)
        try:
            if lease is not None:
                abandoned.hold(lease)
                if not await lease.aacquire():
                    return Outcome(None, TimeoutError("no slot became free in time"))
            token = _holding.set(held)
            try:
                outcome = await self._aasked(batch, abandoned)
            finally:
                _holding.reset(token)
        finally:
            if lease is not None:
                abandoned.let_go(lease)
        self.observe(batch, outcome)
        return outcome

    async def _aasked(self, batch: Batch, abandoned: Abandoned) -> Outcome:
        started, attempts = time.monotonic(), 0
        more = _More(self, batch, abandoned)
        try:
            settings = policy(self.retries, self.backoff, lambda error: self.again(batch, None, error))
            async for attempt in tenacity.AsyncRetrying(**settings):
                with attempt:
                    attempts += 1
                    while wait := self.wait(batch):
                        await asyncio.sleep(wait)
                    with allowing(more):
                        answers = self._read(batch, await self._method(batch, "a")(batch.calls), "a")
            return Outcome(answers, None, attempts - 1 + more.sent, time.monotonic() - started)
        except BaseException as error:
            if is_meant_for_the_task(error):
                raise
            return Outcome(None, error, max(0, attempts - 1) + more.sent, time.monotonic() - started)

    def wait(self, batch: Batch) -> float:
        """Seconds to wait before asking again for leave by the model's pace; 0: the batch may go out, and counts."""
        model = batch.model
        requests, most = whole(model, "requests_per_minute"), whole(model, "tokens_per_minute")
        if not requests and not most:
            return 0.0
        return limits_of(model).pace.book(requests, most, sum(map(call_tokens, batch.calls)))

    def _read(self, batch: Batch, returned: Any, prefix: str = "") -> list[Any]:
        method = f"{name_of(batch.model)}.{prefix}{batch.capability}"
        answers = listed(returned, len(batch.works), method)
        return [sound(work.call, answer) for work, answer in zip(batch.works, answers, strict=True)]

    def _method(self, batch: Batch, prefix: str) -> Callable[..., Any]:
        method = getattr(batch.model, prefix + batch.capability, None)
        if method is None:
            other = getattr(batch.model, "a" + batch.capability, None) is not None
            advice = "it is async only; use `arerank`" if other else "give a model that can"
            raise CapabilityError(f"{type(batch.model).__name__} has no `{prefix}{batch.capability}`: {advice}")
        checked: Callable[..., Any] = method
        return checked


class _More:
    """Requests that a model makes for a batch beyond the first (`another_request`). One that the budget or the pace has
    no room for now is refused, not waited for."""

    def __init__(self, asker: Asker, batch: Batch, abandoned: Abandoned) -> None:
        self._asker, self._batch, self._abandoned = asker, batch, abandoned
        self.sent = 0

    def __call__(self, tokens: int | None) -> bool:
        if self._abandoned or self._asker.wait(self._batch) or not self._asker.again(self._batch, tokens, None):
            return False
        self.sent += 1
        return True


def is_meant_for_the_task(error: BaseException) -> bool:
    """Whether an exception in a task is meant for the task: its cancellation, the user's own interrupt. A
    `CancelledError` from a model whose own inner task was cancelled is the model's failure."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt)
