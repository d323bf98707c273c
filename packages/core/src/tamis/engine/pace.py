"""How many requests and tokens go out in a minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

MINUTE = 60.0
SOON = 1e-3
"""Seconds after which to ask again where rounding leaves none."""


class Pace:
    """At most `requests` requests and `tokens` tokens in any 60 seconds, over all threads and event loops.

    Not a bucket that lets a minute's worth through at once and more right after it: servers count in windows of their
    own, and whatever window they take, no more fall into it. A request larger than `tokens` goes out when nothing else
    has for a minute.
    """

    def __init__(
        self, requests: int | None = None, tokens: int | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._requests = requests
        self._tokens = tokens
        self._now = now
        self._booked: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()

    def book(self, tokens: int = 0) -> float:
        """0: a request of `tokens` tokens may go out now, and is booked. Else nothing is, and these seconds later it is
        worth asking again: who gives up while waiting takes nobody's place."""
        with self._lock:
            now = self._now()
            while self._booked and self._booked[0][0] <= now - MINUTE:
                self._booked.popleft()
            if self._booked and not self._fits(tokens):
                return max(self._booked[0][0] + MINUTE - now, SOON)
            self._booked.append((now, tokens))
            return 0.0

    def _fits(self, tokens: int) -> bool:
        """Whether a request of `tokens` more may join what is booked."""
        if self._requests is not None and len(self._booked) >= self._requests:
            return False
        return self._tokens is None or sum(size for _, size in self._booked) + tokens <= self._tokens
