"""Two drivers for the `Dispatcher`: threads and asyncio.

A rerank with a deadline comes back in time whatever its plans and models do: what cannot be interrupted continues in a
thread of its own, and the caller does not wait for it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDone
from functools import partial
from typing import Any

from tamis.engine.answers import failed, is_the_users
from tamis.engine.asker import Abandoned, Asker, is_meant_for_the_task
from tamis.engine.cancel import Cancellation
from tamis.engine.dispatch import LATE, Batch, Dispatcher, Job, Outcome
from tamis.engine.workers import PLANS, STEPS, NoThread, in_driver_thread, in_model_thread
from tamis.values.answers import Failure

CANCELLED = Failure("cancelled", "the rerank was cancelled")
GRACE = 0.02
"""Seconds after a deadline in which plans may still end with what they have."""

Settled = tuple[Batch, Outcome]
Message = Settled | Job | None
"""For a driver: what a model came to, a plan that is back, or (`None`) that the caller has cancelled."""


def drive(dispatcher: Dispatcher, asker: Asker, cancel: Cancellation | None = None) -> None:
    """Run the dispatcher from this thread until every job is done, past no deadline. Starts no event loop."""
    if dispatcher.seconds_left() is None and cancel is None:
        _drive(dispatcher, asker, Abandoned(), queue.SimpleQueue(), None)
        return
    abandoned, inbox = Abandoned(), queue.SimpleQueue[Message]()
    unsubscribe = cancel.subscribe(lambda: inbox.put(None)) if cancel else lambda: None
    dispatcher.apart, dispatcher.returned = STEPS.submit, inbox.put
    try:
        _within(in_driver_thread(lambda: _drive(dispatcher, asker, abandoned, inbox, cancel)), dispatcher, cancel)
    finally:
        abandoned.set()
        unsubscribe()
        inbox.put(None)


def _within(running: Future[Any], dispatcher: Dispatcher, cancel: Cancellation | None) -> None:
    """Wait for a driver in another thread, no longer than deadlines and the caller allow."""
    stop = threading.Event()
    running.add_done_callback(lambda _: stop.set())
    unsubscribe = cancel.subscribe(stop.set) if cancel else lambda: None
    try:
        while not running.done():
            left = dispatcher.last_seconds()
            stop.wait(None if left is None else left + GRACE)
            if running.done():
                break
            if cancel is not None and cancel.cancelled:
                try:
                    running.result(timeout=GRACE)
                except NotDone:
                    dispatcher.give_up(CANCELLED)
                    return
            left = dispatcher.last_seconds()
            if left is not None and left <= 0:
                dispatcher.give_up(LATE, _is_late)
                if dispatcher.finished:
                    return
        running.result()
    except NoThread as error:
        dispatcher.give_up(failed(error))
    finally:
        unsubscribe()


def _is_late(job: Job) -> bool:
    return job.deadline is not None and job.deadline <= time.monotonic()


def _drive(
    dispatcher: Dispatcher,
    asker: Asker,
    abandoned: Abandoned,
    done: queue.SimpleQueue[Message],
    cancel: Cancellation | None,
) -> None:
    in_flight = 0
    alone = dispatcher.seconds_left() is None
    try:
        dispatcher.start()
        while not dispatcher.finished:
            if cancel is not None and cancel.cancelled:
                dispatcher.stop(CANCELLED)
            batches = list(dispatcher.take())
            if len(batches) == 1 and not in_flight and alone and done.empty():
                dispatcher.settle(batches[0], _ask(batches[0], asker, abandoned))
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
            elif isinstance(settled, Job):
                dispatcher.resume(settled)
                dispatcher.expire()
            else:
                in_flight -= 1
                dispatcher.settle(*settled)
                dispatcher.expire()
    finally:
        abandoned.set()


def _ask(batch: Batch, asker: Asker, abandoned: Abandoned) -> Outcome:
    try:
        return asker.ask(batch, abandoned)
    except BaseException as error:
        if is_the_users(error):
            raise
        return Outcome(None, error)


def _send(batch: Batch, asker: Asker, abandoned: Abandoned, done: queue.SimpleQueue[Message]) -> None:
    def ask() -> None:
        done.put((batch, _ask(batch, asker, abandoned)))

    def begun(asking: Future[None]) -> None:
        if (error := asking.exception()) is not None:
            done.put((batch, Outcome(None, error)))

    in_model_thread(ask).add_done_callback(begun)


async def adrive(dispatcher: Dispatcher, asker: Asker, cancel: Cancellation | None = None) -> None:
    """As `drive`, inside the running event loop, which it never blocks: plans advance in threads of their own."""
    loop = asyncio.get_running_loop()
    done: asyncio.Queue[Message] = asyncio.Queue()
    tasks: set[asyncio.Task[None]] = set()
    abandoned = Abandoned()

    async def ask(batch: Batch) -> None:
        try:
            outcome = await asker.aask(batch, abandoned)
        except BaseException as error:
            if is_meant_for_the_task(error):
                raise
            outcome = Outcome(None, error)
        if not loop.is_closed():
            done.put_nowait((batch, outcome))

    def returned(job: Job) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(done.put_nowait, job)

    async def step(work: Callable[[], Any]) -> bool:
        """Advance plans in a thread. False when a deadline or the caller ended the wait before they came back, or no
        thread could be started."""
        try:
            return await stepped(work)
        except NoThread as error:
            dispatcher.give_up(failed(error))
            return False

    async def stepped(work: Callable[[], Any]) -> bool:
        future = PLANS.submit(work)
        running = asyncio.wrap_future(future)
        left = dispatcher.last_seconds()
        waiting = {running}
        stopped = asyncio.ensure_future(_cancelled(cancel)) if cancel else None
        try:
            if left is None and cancel is None:
                await running
                return True
            await asyncio.wait(
                {*waiting, *({stopped} if stopped else ())},
                timeout=None if left is None else left + GRACE,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not running.done() and stopped is not None and stopped.done():
                await asyncio.wait(waiting, timeout=GRACE)
        finally:
            if stopped is not None:
                stopped.cancel()
            if not future.done():
                PLANS.leave(future)
        if running.done() and not running.cancelled():
            running.result()
            return True
        running.add_done_callback(lambda late: late.cancelled() or late.exception())
        if cancel is not None and cancel.cancelled:
            dispatcher.give_up(CANCELLED)
        else:
            dispatcher.give_up(LATE, _is_late)
        return False

    unsubscribe = cancel.subscribe_in_loop(lambda: done.put_nowait(None)) if cancel else lambda: None
    dispatcher.apart, dispatcher.returned = STEPS.submit, returned
    try:
        left = dispatcher.last_seconds()
        if left is not None and left <= 0:
            # It waited for its turn until the deadline: there is nothing to begin, and many end like this at once.
            dispatcher.give_up(LATE, _is_late)
        going = not dispatcher.finished and await step(dispatcher.start)
        while going and not dispatcher.finished:
            if cancel is not None and cancel.cancelled:
                going = await step(partial(dispatcher.stop, CANCELLED))
                if not going or dispatcher.finished:
                    break
            for batch in dispatcher.take():
                task = asyncio.create_task(ask(batch))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            try:
                settled = await asyncio.wait_for(done.get(), dispatcher.seconds_left())
            except TimeoutError:
                going = await step(dispatcher.expire)
                continue
            if settled is None:
                going = await step(partial(dispatcher.stop, CANCELLED))
            else:
                going = await step(partial(_take_in, dispatcher, settled))
    finally:
        abandoned.set()
        unsubscribe()
        if not loop.is_closed():
            for task in tasks:
                task.cancel()


async def _cancelled(cancel: Cancellation) -> None:
    """Returns once `cancel` has been cancelled."""
    seen = asyncio.Event()
    unsubscribe = cancel.subscribe_in_loop(seen.set)
    try:
        await seen.wait()
    finally:
        unsubscribe()


def _take_in(dispatcher: Dispatcher, came: Settled | Job) -> None:
    if isinstance(came, Job):
        dispatcher.resume(came)
    else:
        dispatcher.settle(*came)
    dispatcher.expire()
