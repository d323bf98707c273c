"""Which failures are worth another try, and how long to wait before it. The waiting itself is tenacity's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tenacity

from tamis.errors import ModelError, TamisError, is_transient_status, parse_retry_after

HOPELESS = (TypeError, AttributeError, NotImplementedError, NameError, ImportError, AssertionError, LookupError)
LONGEST_WAIT = 60.0


def is_transient(error: BaseException) -> bool:
    """Whether asking again may help: rate limits, timeouts, server errors and errors of unknown kind."""
    if isinstance(error, ModelError):
        return error.retryable
    if isinstance(error, (TamisError, *HOPELESS)) or not isinstance(error, Exception):
        return False
    status = _status(error)
    return status is None or is_transient_status(status)


def retry_after(error: BaseException | None) -> float | None:
    """Seconds the server asked to wait, from the error itself or its response's `Retry-After` header."""
    own = getattr(error, "retry_after", None)
    if not isinstance(own, (int, float)) or isinstance(own, bool):
        headers: Any = getattr(getattr(error, "response", None), "headers", None)
        asked = headers.get("retry-after") if hasattr(headers, "get") else None
        own = parse_retry_after(asked) if isinstance(asked, str) else None
    return None if own is None or not own >= 0 else min(float(own), LONGEST_WAIT)


def _status(error: BaseException) -> int | None:
    for source in (error, getattr(error, "response", None)):
        status = getattr(source, "status_code", None) or getattr(source, "status", None)
        if isinstance(status, int):
            return status
    return None


class Backoff(tenacity.wait.wait_base):
    """What the server asked for, else exponential with full jitter from `base` seconds."""

    def __init__(self, base: float) -> None:
        self._jitter = tenacity.wait_random_exponential(multiplier=base, max=LONGEST_WAIT)

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = retry_after(error)
        return self._jitter(retry_state) if asked is None else asked


def policy(retries: int, base: float, again: Callable[[BaseException | None], bool]) -> dict[str, Any]:
    """Arguments for tenacity's sync and async controllers alike. `again`: whether another try is still wanted and paid
    for after the error that ended the last, asked before each."""
    most = tenacity.stop_after_attempt(retries + 1)
    return {
        "stop": lambda state: most(state) or not again(state.outcome.exception() if state.outcome else None),
        "wait": Backoff(base),
        "retry": tenacity.retry_if_exception(is_transient),
        "reraise": True,
    }
