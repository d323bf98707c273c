"""A cache that cannot hurt a rerank: whatever goes wrong in it is a miss, reported once, and not tried again for a
while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tamis.engine.answers import said

log = logging.getLogger("tamis")
T = TypeVar("T")
PAUSE = 10.0
"""Seconds in which a cache that failed is left alone."""


class Guarded:
    """Calls the methods of one cache."""

    def __init__(self, cache: Any, now: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self._now = now
        self._closed_until: float | None = None

    def call(self, method: str, *arguments: Any, lost: str) -> Any:
        """What the method returns, `None` when it fails or the cache is left alone. `lost`: what the caller does
        without."""
        if self._closed_until is not None:
            if self._now() < self._closed_until:
                return None
            self._closed_until = None
        try:
            return getattr(self._cache, method)(*arguments)
        except Exception as error:
            self._closed_until = self._now() + PAUSE
            log.warning(
                "%s failed (%s: %s): %s; it is left alone for %g seconds",
                type(self._cache).__name__,
                type(error).__name__,
                said(error),
                lost,
                PAUSE,
            )
            return None
