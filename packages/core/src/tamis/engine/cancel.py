"""Stopping a rerank from outside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from tamis.processes import renewed_in_child


class Cancellation:
    """Give one to `Engine.rerank(..., cancel=...)` and call `cancel()` from anywhere: the rerank returns at once with
    the best ranking so far, marked degraded. One token may stop many reranks."""

    def __init__(self) -> None:
        self._renew()
        renewed_in_child(self, Cancellation._renew)
        self._wakers: set[Callable[[], None]] = set()
        self.cancelled = False

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def cancel(self) -> None:
        with self._lock:
            self.cancelled = True
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` on `cancel()`, at once if that has happened. Returns a function that unsubscribes."""
        with self._lock:
            self._wakers.add(wake)
            late = self.cancelled
        if late:
            wake()
        return lambda: self._wakers.discard(wake)

    def subscribe_in_loop(self, wake: Callable[[], Any]) -> Callable[[], None]:
        """As `subscribe`, with `wake` called in the event loop that runs here."""
        loop = asyncio.get_running_loop()

        def later() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(wake)

        return self.subscribe(later)
