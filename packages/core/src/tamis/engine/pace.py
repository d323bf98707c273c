"""How many requests and tokens go out in a minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

MINUTE = 60.0


class Pace:
    """At most `requests` requests and `tokens` tokens in any 60 seconds, over all threads and event loops.

    First come, first served. Not a bucket that lets a minute's worth through at once and more right after it: servers
    count in windows of their own, and whatever window they take, no more fall into it. A request larger than `tokens`
    goes out when nothing else has for a minute.
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
        """Book the next request, of `tokens` tokens: the seconds to wait until it may go out."""
        with self._lock:
            now = self._now()
            start = max(now, self._booked[-1][0]) if self._booked else now
            while self._booked and (self._booked[0][0] <= start - MINUTE or not self._fits(tokens)):
                start = max(start, self._booked.popleft()[0] + MINUTE)
            self._booked.append((start, tokens))
            return start - now

    def _fits(self, tokens: int) -> bool:
        """Whether a request of `tokens` more may join what is booked."""
        if self._requests is not None and len(self._booked) >= self._requests:
            return False
        return self._tokens is None or sum(size for _, size in self._booked) + tokens <= self._tokens
