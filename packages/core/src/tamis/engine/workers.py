"""Daemon threads that are used again: plans and models run in them, never in an executor that others can fill."""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from tamis.processes import renewed_in_child

T = TypeVar("T")
IDLE_SECONDS = 10.0
"""How long a thread without work stays."""

PATIENCE = 0.05
"""How long work may keep others waiting for its place, in seconds."""


class NoThread(RuntimeError):
    """The system starts no more threads now."""


@dataclass(eq=False, slots=True)
class Task:
    """Work for a thread. `began`: when it last took one of the places, `None` while it has none."""

    future: Future[Any]
    run: Callable[[], None]
    began: float | None = None


class Workers:
    """Threads that run what is submitted at once, or after others while `most` of them are busy.

    Work that takes longer than `PATIENCE` loses its place to work that waits: `most` keeps many threads from competing
    for the interpreter, and work that never ends costs its own thread and no more.

    They are daemons, since a model that hangs must not keep the interpreter from ending. Work runs with the context
    variables of the thread that submitted it. A forked child starts with none.

    Work that waits is always watched, so that it gets its turn whatever the work before it does. Where no thread can be
    started, that work fails with `NoThread` and nothing else has changed.
    """

    def __init__(self, name: str, most: int | None = None) -> None:
        self._name = name
        self._most = most
        self._begin()
        renewed_in_child(self, Workers._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[Task | None]] = []
        self._waiting: deque[Task] = deque()
        self._placed: dict[Future[Any], Task] = {}
        self._watched = False

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Run `work` in a thread. Whatever it raises, `BaseException` included, is in the future; `NoThread` when the
        work could not begin."""
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

        task = Task(future, partial(contextvars.copy_context().run, run))
        try:
            with self._lock:
                if self._most is not None and len(self._placed) >= self._most:
                    if not self._watched:
                        self._hand(None)
                        self._watched = True
                    self._waiting.append(task)
                else:
                    self._place(task)
        except NoThread as error:
            future.set_exception(error)
        return future

    def leave(self, future: Future[Any]) -> None:
        """Wait no longer for work that may never end: its thread takes nobody's place from now on."""
        future.cancel()
        with self._lock:
            if self._placed.pop(future, None) is not None:
                self._refill()

    def _place(self, task: Task) -> None:
        """With the lock, which keeps the thread from taking its place back before it has one."""
        self._hand(task)
        if self._most is not None:
            task.began = time.monotonic()
            self._placed[task.future] = task

    def _refill(self) -> None:
        """Give free places to work that waits. With the lock. What gets no thread waits on: the watching thread tries
        again."""
        while self._waiting and self._most is not None and len(self._placed) < self._most:
            try:
                self._place(self._waiting[0])
            except NoThread:
                return
            self._waiting.popleft()

    def _hand(self, task: Task | None) -> None:
        """To a thread that has nothing to do, or a new one. `None`: it watches over the places."""
        if self._idle:
            self._idle.pop().put(task)
            return
        inbox: SimpleQueue[Task | None] = SimpleQueue()
        inbox.put(task)
        try:
            threading.Thread(target=self._work, args=(inbox,), name=self._name, daemon=True).start()
        except Exception as error:
            raise NoThread(f"no thread could be started for the rerank ({error})") from error

    def _work(self, inbox: SimpleQueue[Task | None]) -> None:
        task = inbox.get()
        while True:
            if task is None:
                self._watch()
            else:
                task.run()
            with self._lock:
                placed = task is not None and self._placed.pop(task.future, None) is not None
                task = None  # A thread that waits for work keeps nothing of the last one alive.
                if placed and self._waiting:
                    task = self._waiting.popleft()
                    task.began = time.monotonic()
                    self._placed[task.future] = task
                    continue
                self._idle.append(inbox)
            try:
                task = inbox.get(timeout=IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if inbox in self._idle:
                        self._idle.remove(inbox)
                        return
                task = inbox.get()

    def _watch(self) -> None:
        """Take their places from those that keep others waiting, until nobody waits."""
        while True:
            time.sleep(PATIENCE)
            with self._lock:
                now = time.monotonic()
                for task in list(self._placed.values()):
                    if self._waiting and task.began is not None and now - task.began >= PATIENCE:
                        del self._placed[task.future]
                self._refill()
                if not self._waiting:
                    self._watched = False
                    return


MODELS = Workers("tamis-model")
DRIVERS = Workers("tamis-driver")
STEPS = Workers("tamis-step")
CACHES = Workers("tamis-cache")
PLANS = Workers("tamis-plan", most=1)
"""Advance plans for event loops. They compute in Python, where more threads would only wait for each other."""


def in_model_thread(work: Callable[[], T]) -> Future[T]:
    return MODELS.submit(work)


def in_driver_thread(work: Callable[[], Any]) -> Future[Any]:
    return DRIVERS.submit(work)
