"""How many requests and tokens go out per minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from tamis.processes import renewed_in_child

MINUTE = 60.0
SOON = 1e-3
"""Shortest wait in seconds; rounding may yield 0."""


class Pace:
    """What was sent in the last 60 seconds, over all threads and event loops.

    Not a bucket that lets a minute's worth through at once and more right after it: servers count in windows of their
    own, and whatever window they take, no more fall into it. A request larger than `tokens` goes out when nothing else
    has for a minute.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._booked: deque[tuple[float, int]] = deque()
        self._renew()
        renewed_in_child(self, Pace._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def book(self, requests: int | None = None, most: int | None = None, tokens: int = 0) -> float:
        """Reserve a request of `tokens` tokens and return 0, or reserve nothing and return the seconds to wait before
        asking again. `requests`, `most`: limits of requests and tokens per minute; `None`: any number."""
        with self._lock:
            now = self._now()
            while self._booked and self._booked[0][0] <= now - MINUTE:
                self._booked.popleft()
            if self._booked and not self._fits(requests, most, tokens):
                return max(self._booked[0][0] + MINUTE - now, SOON)
            self._booked.append((now, tokens))
            return 0.0

    def _fits(self, requests: int | None, most: int | None, tokens: int) -> bool:
        """Whether a request of `tokens` more may join what is reserved."""
        if requests is not None and len(self._booked) >= requests:
            return False
        return most is None or sum(size for _, size in self._booked) + tokens <= most
