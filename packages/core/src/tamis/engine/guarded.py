"""A cache that cannot hurt a rerank: whatever goes wrong in it is a miss, reported once, and not tried again for a
while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from tamis.engine.answers import is_the_users, said
from tamis.engine.workers import CACHES
from tamis.processes import renewed_in_child

log = logging.getLogger("tamis")
PAUSE = 10.0
"""Seconds in which a cache that failed is left alone."""

WAIT = 1.0
"""Seconds a cache may take for one call, and for all its slow calls within `PAUSE`."""

QUICK = 0.02
"""Seconds per call that count for no wait: a busy machine takes as long."""


class Guarded:
    """Calls the methods of one cache.

    `here`: in the thread of the caller, for a cache whose calls are known to end. Others are called in a thread of the
    engine's own, and not again while a call hangs.
    """

    def __init__(self, cache: Any, now: Callable[[], float] = time.monotonic, *, here: bool = False) -> None:
        self._cache = cache
        self._now = now
        self._here = here
        self._begin()
        renewed_in_child(self, Guarded._begin)

    def _begin(self) -> None:
        self._closed_until: float | None = None
        self._hanging: Future[Any] | None = None
        self._slow_since = self._waited = 0.0

    def call(self, method: str, *arguments: Any, lost: str) -> Any:
        """What the method returns, `None` when it fails, takes too long, or the cache is left alone. `lost`: what the
        caller does without."""
        if self._hanging is not None:
            if not self._hanging.done():
                return None
            self._hanging = None
        if self._closed_until is not None:
            if self._now() < self._closed_until:
                return None
            self._closed_until = None
        began = self._now()
        try:
            error, value = self._called(method, arguments)
        except Exception as failure:
            error, value = failure, None
        if error is not None:
            self._leave(f"failed ({type(error).__name__}: {said(error)})", lost)
        else:
            self._charge(began, lost)
        return value

    def _called(self, method: str, arguments: tuple[Any, ...]) -> tuple[BaseException | None, Any]:
        """What the method raised, and what it returned."""

        def work() -> tuple[BaseException | None, Any]:
            try:
                return None, getattr(self._cache, method)(*arguments)
            except BaseException as error:
                if is_the_users(error):
                    raise
                return error, None

        if self._here:
            return work()
        future = CACHES.submit(work)
        try:
            return future.result(WAIT)
        except TimeoutError:
            self._hanging = future
            return TimeoutError(f"`{method}` did not return within {WAIT:g} s"), None

    def _charge(self, began: float, lost: str) -> None:
        now = self._now()
        slow = now - began - QUICK
        if slow <= 0:
            return
        if now - self._slow_since > PAUSE:
            self._slow_since, self._waited = now, 0.0
        self._waited += slow
        if self._waited > WAIT:
            self._waited = 0.0
            self._leave(f"is slow (its calls took more than {WAIT:g} s within {PAUSE:g} s)", lost)

    def _leave(self, why: str, lost: str) -> None:
        self._closed_until = self._now() + PAUSE
        log.warning("%s %s: %s; it is left alone for %g seconds", type(self._cache).__name__, why, lost, PAUSE)
