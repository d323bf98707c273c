"""A concurrency limit that threads and event loops share."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future, TimeoutError
from dataclasses import dataclass, field
from typing import Any

from tamis.processes import renewed_in_child

POLL = 1.0
"""Seconds after which a waiter looks for slots whose holders are gone."""


@dataclass(eq=False, slots=True)
class _Waiter:
    """One that waits: how many holders it accepts, and the event loop it waits in, if any."""

    slots: int
    loop: Any = None
    admitted: Future[None] = field(default_factory=Future)

    @property
    def gone(self) -> bool:
        """Whether nobody would notice being admitted."""
        return self.admitted.cancelled() or (self.loop is not None and self.loop.is_closed())


class Limiter:
    """Counts the holders of a model, over all threads and all event loops; first come, first served.

    Each caller says how many holders it accepts, itself included: engines of different `concurrency` share one limiter,
    and the strictest one waits longest. In a forked child nobody holds it.
    """

    def __init__(self) -> None:
        self._begin()
        renewed_in_child(self, Limiter._begin)

    def _begin(self) -> None:
        self.holders = object()
        """Changes in a forked child, where what the parent's threads hold means nothing."""
        self._held = 0
        self._lock = threading.Lock()
        self._waiting: deque[_Waiter] = deque()
        self._in_loops: set[Lease] = set()

    def acquire(self, slots: int, timeout: float | None = None) -> Lease | None:
        """Wait in this thread until fewer than `slots` hold. `None` when `timeout` seconds passed before."""
        waiter = self._claim(slots)
        if waiter is None:
            return Lease(self)
        try:
            waiter.admitted.result(timeout)
        except BaseException as error:
            admitted = not waiter.admitted.cancel()
            if admitted and isinstance(error, TimeoutError):
                return Lease(self)
            if admitted:
                self._release()
            else:
                self._admit()
            if isinstance(error, TimeoutError):
                return None
            raise
        return Lease(self)

    async def aacquire(self, slots: int) -> Lease:
        """As `acquire`, without blocking the event loop."""
        loop = asyncio.get_running_loop()
        waiter = self._claim(slots, loop)
        if waiter is None:
            return Lease(self, loop)
        try:
            admitted = asyncio.wrap_future(waiter.admitted)
            while not (await asyncio.wait({admitted}, timeout=POLL))[0]:
                self._admit()
        except BaseException:
            # Cancelled, or thrown away with an event loop that ended.
            if waiter.admitted.cancel():
                self._admit()
            else:
                self._release()
            raise
        return Lease(self, loop)

    @property
    def in_use(self) -> bool:
        """Whether anybody holds it or waits for it."""
        return self._held > 0 or bool(self._waiting)

    def _claim(self, slots: int, loop: Any = None) -> _Waiter | None:
        with self._lock:
            if not self._waiting and self._held < slots:
                self._held += 1
                return None
            waiter = _Waiter(slots, loop)
            self._waiting.append(waiter)
        self._admit()
        return waiter

    def _release(self, lease: Lease | None = None) -> None:
        with self._lock:
            self._held -= 1
            if lease is not None:
                self._in_loops.discard(lease)
        self._admit()

    def _admit(self) -> None:
        """Let in those that wait longest, as many as fit. Forget those that are gone, and holders in event loops that
        are closed."""
        for lease in list(self._in_loops):
            if lease.loop is not None and lease.loop.is_closed():
                lease.release()
        admitted: list[_Waiter] = []
        with self._lock:
            while self._waiting:
                waiter = self._waiting[0]
                if waiter.gone:
                    self._waiting.popleft()
                    continue
                if self._held >= waiter.slots:
                    break
                self._waiting.popleft()
                if waiter.admitted.set_running_or_notify_cancel():
                    self._held += 1
                    admitted.append(waiter)
        for waiter in admitted:
            waiter.admitted.set_result(None)


class Lease:
    """A place in a limiter. Given back once: by its holder, or by one that no longer waits for it."""

    __slots__ = ("_held", "loop")

    def __init__(self, limiter: Limiter, loop: Any = None) -> None:
        self._held = [(limiter, limiter.holders)]
        self.loop = loop
        if loop is not None:
            limiter._in_loops.add(self)

    def release(self) -> None:
        try:
            limiter, holders = self._held.pop()
        except IndexError:
            return
        if limiter.holders is holders:
            limiter._release(self)
