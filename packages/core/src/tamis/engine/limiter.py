"""A concurrency limit that threads and event loops share."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future, TimeoutError


class Limiter:
    """At most `slots` holders at once, over all threads and all event loops; first come, first served."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._lock = threading.Lock()
        self._waiting: deque[Future[None]] = deque()

    def _claim(self) -> Future[None] | None:
        with self._lock:
            if self._free:
                self._free -= 1
                return None
            place: Future[None] = Future()
            self._waiting.append(place)
            return place

    def acquire(self, timeout: float | None = None) -> bool:
        """Wait in this thread. False when `timeout` seconds passed without a slot."""
        place = self._claim()
        if place is None:
            return True
        try:
            place.result(timeout)
        except TimeoutError:
            return not place.cancel()
        return True

    async def aacquire(self) -> None:
        """Wait without blocking the event loop."""
        place = self._claim()
        if place is None:
            return
        try:
            await asyncio.wrap_future(place)
        except asyncio.CancelledError:
            if not place.cancel() and not place.cancelled():
                self.release()
            raise

    def release(self) -> None:
        with self._lock:
            while self._waiting:
                place = self._waiting.popleft()
                if place.set_running_or_notify_cancel():
                    break
            else:
                self._free += 1
                return
        place.set_result(None)
