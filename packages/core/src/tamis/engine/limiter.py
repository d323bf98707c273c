"""A concurrency limit that threads and event loops share."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future, TimeoutError


class Limiter:
    """Counts who holds a model, over all threads and all event loops; first come, first served.

    Each caller says how many holders it accepts, itself included: engines of different `concurrency` share one limiter,
    and the strictest one waits longest.
    """

    def __init__(self) -> None:
        self._held = 0
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[None], int]] = deque()

    def acquire(self, slots: int, timeout: float | None = None) -> bool:
        """Wait in this thread until fewer than `slots` hold. False when `timeout` seconds passed before."""
        place = self._claim(slots)
        if place is None:
            return True
        try:
            place.result(timeout)
        except TimeoutError:
            given_up = place.cancel()
            self._admit()
            return not given_up
        return True

    async def aacquire(self, slots: int) -> None:
        """As `acquire`, without blocking the event loop."""
        place = self._claim(slots)
        if place is None:
            return
        try:
            await asyncio.wrap_future(place)
        except asyncio.CancelledError:
            if not place.cancel() and not place.cancelled():
                self.release()
            self._admit()
            raise

    def release(self) -> None:
        with self._lock:
            self._held -= 1
        self._admit()

    def _claim(self, slots: int) -> Future[None] | None:
        with self._lock:
            if not self._waiting and self._held < slots:
                self._held += 1
                return None
            place: Future[None] = Future()
            self._waiting.append((place, slots))
            return place

    def _admit(self) -> None:
        """Let in who waits longest, as many as fit, and forget who gave up."""
        admitted: list[Future[None]] = []
        with self._lock:
            while self._waiting:
                place, slots = self._waiting[0]
                if not place.cancelled() and self._held >= slots:
                    break
                self._waiting.popleft()
                if place.set_running_or_notify_cancel():
                    self._held += 1
                    admitted.append(place)
        for place in admitted:
            place.set_result(None)
