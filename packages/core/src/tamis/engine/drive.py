"""Two drivers for the `Dispatcher`: threads and asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import tenacity

from tamis.engine.cancel import Cancellation
from tamis.engine.cost import call_tokens
from tamis.engine.dispatch import Batch, Dispatcher, Outcome
from tamis.engine.limits import LIMITS
from tamis.engine.retry import policy
from tamis.errors import CapabilityError
from tamis.values.calls import Failure

T = TypeVar("T")
CANCELLED = Failure("cancelled", "the rerank was cancelled")


def spawn(work: Callable[[], T]) -> Future[T]:
    """Run `work` in a daemon thread with this thread's context variables.

    Daemon, since a model that hangs must not keep the interpreter from ending.
    """
    future: Future[T] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=contextvars.copy_context().run, args=(run,), name="tamis-model", daemon=True).start()
    return future


@dataclass(frozen=True)
class Asker:
    """Sends one batch to its model, within the model's limits and under the retry policy.

    `slots`: how many batches a model may have in flight, for this engine.
    """

    slots: Callable[[Any], int]
    observe: Callable[[Batch, Outcome], None]
    retries: int = 2
    backoff: float = 0.5
    dry: bool = False

    def ask(self, batch: Batch, abandoned: threading.Event | None = None) -> Outcome:
        """In this thread. Once `abandoned` is set nobody waits any more and no retry is made."""
        if self.dry:
            return Outcome([call.stand_in() for call in batch.calls])
        given_up = abandoned or threading.Event()
        limiter = LIMITS.of(batch.model).limiter
        while not limiter.acquire(self.slots(batch.model), timeout=1.0):
            if given_up.is_set():
                return Outcome(None, TimeoutError("no slot became free in time"))
        started, attempts = time.monotonic(), 0
        settings = policy(self.retries, self.backoff)
        settings["stop"] |= tenacity.stop_when_event_set(given_up)
        try:
            for attempt in tenacity.Retrying(sleep=tenacity.sleep_using_event(given_up), **settings):
                with attempt:
                    attempts += 1
                    while wait := self._wait(batch):
                        if given_up.wait(wait):
                            raise TimeoutError("the caller stopped waiting for the answer")
                    answers = self._method(batch, "")(batch.calls)
            outcome = Outcome(answers, None, attempts - 1, time.monotonic() - started)
        except Exception as error:
            outcome = Outcome(None, error, max(0, attempts - 1), time.monotonic() - started)
        finally:
            limiter.release()
        self.observe(batch, outcome)
        return outcome

    async def aask(self, batch: Batch) -> Outcome:
        """In this event loop when the model has an async method, else in a thread."""
        target = batch.model
        if self.dry or not hasattr(target, "a" + batch.capability):
            abandoned = threading.Event()
            try:
                return await asyncio.wrap_future(spawn(lambda: self.ask(batch, abandoned)))
            finally:
                abandoned.set()
        limiter = LIMITS.of(batch.model).limiter
        await limiter.aacquire(self.slots(batch.model))
        started, attempts = time.monotonic(), 0
        try:
            async for attempt in tenacity.AsyncRetrying(**policy(self.retries, self.backoff)):
                with attempt:
                    attempts += 1
                    while wait := self._wait(batch):
                        await asyncio.sleep(wait)
                    answers = await self._method(batch, "a")(batch.calls)
            outcome = Outcome(answers, None, attempts - 1, time.monotonic() - started)
        except Exception as error:
            outcome = Outcome(None, error, max(0, attempts - 1), time.monotonic() - started)
        finally:
            limiter.release()
        self.observe(batch, outcome)
        return outcome

    def _wait(self, batch: Batch) -> float:
        """Seconds to wait before asking again for leave by the model's pace; 0: the batch may go out, and counts."""
        model = batch.model
        requests, most = getattr(model, "requests_per_minute", None), getattr(model, "tokens_per_minute", None)
        if not requests and not most:
            return 0.0
        return LIMITS.of(model).pace.book(requests, most, sum(map(call_tokens, batch.calls)))

    def _method(self, batch: Batch, prefix: str) -> Callable[..., Any]:
        target = batch.model
        method = getattr(target, prefix + batch.capability, None)
        if method is None:
            other = hasattr(target, "a" + batch.capability)
            advice = "it is async only; use `arerank`" if other else "give a model that can"
            raise CapabilityError(f"{type(target).__name__} has no `{prefix}{batch.capability}`: {advice}")
        return method


def drive(dispatcher: Dispatcher, asker: Asker, cancel: Cancellation | None = None) -> None:
    """Run the dispatcher from this thread until every job is done, past no deadline. Starts no event loop."""
    done: queue.SimpleQueue[tuple[Batch, Outcome] | None] = queue.SimpleQueue()
    abandoned = threading.Event()
    unsubscribe = cancel.subscribe(lambda: done.put(None)) if cancel else lambda: None
    in_flight = 0
    try:
        dispatcher.start()
        while not dispatcher.finished:
            batches = list(dispatcher.take())
            if len(batches) == 1 and not in_flight and cancel is None and dispatcher.seconds_left() is None:
                dispatcher.settle(batches[0], asker.ask(batches[0]))
                continue
            for batch in batches:
                _send(batch, asker, abandoned, done)
            in_flight += len(batches)
            try:
                settled = done.get(timeout=dispatcher.seconds_left())
            except queue.Empty:
                dispatcher.expire()
                continue
            if settled is None:
                dispatcher.stop(CANCELLED)
            else:
                in_flight -= 1
                dispatcher.settle(*settled)
                dispatcher.expire()
    finally:
        abandoned.set()
        unsubscribe()


def _send(batch: Batch, asker: Asker, abandoned: threading.Event, done: queue.SimpleQueue[Any]) -> None:
    spawn(lambda: done.put((batch, asker.ask(batch, abandoned))))


async def adrive(dispatcher: Dispatcher, asker: Asker, cancel: Cancellation | None = None) -> None:
    """As `drive`, inside the running event loop, which it never blocks: plans advance in a thread."""
    loop = asyncio.get_running_loop()
    done: asyncio.Queue[tuple[Batch, Outcome] | None] = asyncio.Queue()
    tasks: set[asyncio.Task[None]] = set()

    async def ask(batch: Batch) -> None:
        done.put_nowait((batch, await asker.aask(batch)))

    def wake() -> None:
        loop.call_soon_threadsafe(done.put_nowait, None)

    unsubscribe = cancel.subscribe(wake) if cancel else lambda: None
    try:
        await asyncio.to_thread(dispatcher.start)
        while not dispatcher.finished:
            for batch in dispatcher.take():
                task = asyncio.create_task(ask(batch))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            try:
                settled = await asyncio.wait_for(done.get(), dispatcher.seconds_left())
            except TimeoutError:
                await asyncio.to_thread(dispatcher.expire)
                continue
            if settled is None:
                await asyncio.to_thread(dispatcher.stop, CANCELLED)
            else:
                await asyncio.to_thread(_settle, dispatcher, *settled)
    finally:
        unsubscribe()
        for task in tasks:
            task.cancel()


def _settle(dispatcher: Dispatcher, batch: Batch, outcome: Outcome) -> None:
    dispatcher.settle(batch, outcome)
    dispatcher.expire()
