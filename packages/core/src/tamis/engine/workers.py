"""Daemon threads that are used again: plans and models run in them, never in an executor that others can fill."""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from tamis.processes import renewed_in_child

T = TypeVar("T")
IDLE_SECONDS = 10.0
"""How long a thread without work stays."""

Task = tuple[Future[Any], Callable[[], None]]


class Workers:
    """Threads that run what is submitted at once, or after others once `most` are busy.

    They are daemons, since a model that hangs must not keep the interpreter from ending. Work runs with the context
    variables of the thread that submitted it. A forked child starts with none.
    """

    def __init__(self, name: str, most: int | None = None) -> None:
        self._name = name
        self._most = most
        self._begin()
        renewed_in_child(self, Workers._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[Task]] = []
        self._waiting: deque[Task] = deque()
        self._left: set[Future[Any]] = set()
        self._count = 0

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Run `work` in a thread. Whatever it raises, `BaseException` included, is in the future."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = work()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        context = contextvars.copy_context()
        self._start((future, lambda: context.run(run)))
        return future

    def leave(self, future: Future[Any]) -> None:
        """Wait no longer for work that may never end: its thread takes nobody's place from now on."""
        with self._lock:
            if future.cancel() or future.done() or future in self._left:
                return
            self._left.add(future)
            if not self._waiting:
                self._count -= 1
                return
            task = self._waiting.popleft()
        self._begin_thread(task)

    def _start(self, task: Task) -> None:
        with self._lock:
            if self._idle:
                self._idle.pop().put(task)
                return
            if self._most is not None and self._count >= self._most:
                self._waiting.append(task)
                return
            self._count += 1
        self._begin_thread(task)

    def _begin_thread(self, task: Task) -> None:
        threading.Thread(target=self._work, args=(task,), name=self._name, daemon=True).start()

    def _work(self, task: Task) -> None:
        inbox: SimpleQueue[Task] = SimpleQueue()
        while True:
            future, run = task
            run()
            del task, run
            with self._lock:
                if future in self._left:
                    self._left.discard(future)
                    return
                del future
                if self._waiting:
                    task = self._waiting.popleft()
                    continue
                self._idle.append(inbox)
            try:
                task = inbox.get(timeout=IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if inbox in self._idle:
                        self._idle.remove(inbox)
                        self._count -= 1
                        return
                task = inbox.get()


MODELS = Workers("tamis-model")
DRIVERS = Workers("tamis-driver")
PLANS = Workers("tamis-plan", most=32)
"""Advance plans for event loops; what is stuck is left behind and counts no longer."""


def in_model_thread(work: Callable[[], T]) -> Future[T]:
    return MODELS.submit(work)


def in_driver_thread(work: Callable[[], Any]) -> Future[Any]:
    return DRIVERS.submit(work)
