"""A concurrency limit that threads and event loops share.

Every step may be interrupted (Ctrl-C raises between any two lines of the main thread) and be done again: who holds a
place is a set of leases, and giving one back twice changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError, wait

from tamis.engine.jams import JAMS
from tamis.processes import renewed_in_child

POLL = 1.0
"""Seconds after which a waiter looks for slots whose holders are gone or wait for it."""


class Limiter:
    """Knows the holders of a model, over all threads and all event loops; first come, first served.

    Each caller says how many holders it accepts, itself included: engines of different `concurrency` share one limiter,
    and the strictest one waits longest. In a forked child nobody holds it.
    """

    def __init__(self) -> None:
        self._begin()
        renewed_in_child(self, Limiter._begin)

    def _begin(self) -> None:
        self._holders: set[Lease] = set()
        self._waiting: deque[Lease] = deque()
        self._lock = threading.Lock()

    def acquire(self, slots: int, timeout: float | None = None) -> Lease | None:
        """Wait in this thread until fewer than `slots` hold. `None` when `timeout` seconds passed before."""
        lease = Lease(self, slots)
        try:
            if lease.acquire(timeout):
                return lease
        except BaseException:
            lease.release()
            raise
        lease.release()
        return None

    async def aacquire(self, slots: int) -> Lease:
        """As `acquire`, without blocking the event loop."""
        lease = Lease(self, slots)
        try:
            await lease.aacquire()
        except BaseException:
            # Cancelled, or thrown away with an event loop that ended.
            lease.release()
            raise
        return lease

    @property
    def _held(self) -> int:
        return len(self._holders)

    @property
    def in_use(self) -> bool:
        """Whether anybody holds it or waits for it."""
        return bool(self._holders or self._waiting)

    def holders(self) -> list[Lease]:
        with self._lock:
            return list(self._holders)

    def holds(self, lease: Lease) -> bool:
        return lease in self._holders

    def line_up(self, lease: Lease) -> None:
        with self._lock:
            if not lease.lined_up:
                self._waiting.append(lease)
                lease.lined_up = True
        self.admit()

    def leave(self, lease: Lease) -> None:
        with self._lock:
            lease.over = True
            self._holders.discard(lease)
        self.admit()

    def let_through(self, lease: Lease) -> None:
        """Let one in that waits, whatever the limit."""
        with self._lock:
            if not lease.over:
                self._holders.add(lease)
        lease.wake()

    def admit(self) -> None:
        """Let in those that wait longest, as many as fit. Forget those that are gone, and holders in event loops that
        are closed."""
        came: list[Lease] = []
        with self._lock:
            for lease in [lease for lease in self._holders if lease.gone]:
                self._holders.discard(lease)
            while self._waiting:
                lease = self._waiting[0]
                if not lease.gone and lease not in self._holders:
                    if len(self._holders) >= lease.slots:
                        break
                    self._holders.add(lease)
                came.append(lease)
                self._waiting.popleft()
        for lease in came:
            lease.wake()


class Lease:
    """A place in a limiter: asked for once, given back once or more often, by its holder or by one that no longer waits
    for it.

    `slots`: how many holders it accepts, itself included. `inside`: the leases under which it is asked for, of models
    whose calls cannot end before this one.
    """

    __slots__ = ("_woken", "inside", "limiter", "lined_up", "loop", "over", "slots", "waiting_inside")

    def __init__(self, limiter: Limiter, slots: int, inside: Sequence[Lease] = ()) -> None:
        self.limiter = limiter
        self.slots = slots
        self.inside = tuple(inside)
        self.waiting_inside: set[Lease] = set()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.lined_up = self.over = False
        self._woken: Future[None] = Future()

    @property
    def holds(self) -> bool:
        return self.limiter.holds(self)

    @property
    def gone(self) -> bool:
        """Whether it was given back, or its event loop is closed: nobody would notice being admitted."""
        return self.over or (self.loop is not None and self.loop.is_closed())

    def acquire(self, timeout: float | None = None) -> bool:
        """Wait in this thread for a place, no longer than `timeout` seconds; it keeps its turn when they have passed.
        Whether it holds one."""
        self._line_up()
        try:
            if not self._woken.done():
                wait((self._woken,), timeout)
            if not self.holds:
                self._look()
        finally:
            self._wait_no_more()
        return self.holds

    async def aacquire(self) -> bool:
        """As `acquire`, without blocking the event loop, until it is admitted or given back."""
        self.loop = asyncio.get_running_loop()
        self._line_up()
        try:
            admitted = asyncio.wrap_future(self._woken)
            while not self.holds and not self.over:
                if not (await asyncio.wait({admitted}, timeout=POLL))[0]:
                    self._look()
        finally:
            self._wait_no_more()
        return self.holds

    def release(self) -> None:
        self.limiter.leave(self)
        self.wake()

    def wake(self) -> None:
        with contextlib.suppress(InvalidStateError):
            self._woken.set_result(None)

    def _line_up(self) -> None:
        for outer in self.inside:
            outer.waiting_inside.add(self)
        self.limiter.line_up(self)

    def _wait_no_more(self) -> None:
        for outer in self.inside:
            outer.waiting_inside.discard(self)

    def _look(self) -> None:
        """Look for places of holders that are gone, or that wait for this one."""
        self.limiter.admit()
        if self.inside and not self.holds:
            JAMS.open(self)
