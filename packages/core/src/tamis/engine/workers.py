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

Task = Callable[[], None]


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
        self._start(lambda: context.run(run))
        return future

    def _start(self, task: Task) -> None:
        with self._lock:
            if self._idle:
                self._idle.pop().put(task)
                return
            if self._most is not None and self._count >= self._most:
                self._waiting.append(task)
                return
            self._count += 1
        threading.Thread(target=self._work, args=(task,), name=self._name, daemon=True).start()

    def _work(self, task: Task) -> None:
        inbox: SimpleQueue[Task] = SimpleQueue()
        while True:
            task()
            del task
            with self._lock:
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
PLANS = Workers("tamis-plan", most=32)


def in_model_thread(work: Callable[[], T]) -> Future[T]:
    return MODELS.submit(work)


def in_plan_thread(work: Callable[[], Any]) -> Future[Any]:
    return PLANS.submit(work)
