"""Requests beyond the first that a model makes for one batch: asked for beforehand, since budgets count requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Allow = Callable[[int | None], bool]
_allow: ContextVar[Allow | None] = ContextVar("tamis_another_request", default=None)


@contextmanager
def allowing(allow: Allow) -> Iterator[None]:
    """While the block runs in this thread or task, `another_request` asks `allow`."""
    token = _allow.set(allow)
    try:
        yield
    finally:
        _allow.reset(token)


def another_request(tokens: int | None = None) -> bool:
    """Whether the model that is being asked may send one more request for the same calls. True without an engine.

    Reserves it in the budgets of the reranks that wait and in the pace of the model. `tokens`: those that it may cost
    besides the ones reserved already, in and out, per call; `None`: the request before was turned down.
    """
    allow = _allow.get()
    return allow is None or allow(tokens)


def is_asked_by_an_engine() -> bool:
    """Whether an engine waits for the answers, and has reserved what they may cost."""
    return _allow.get() is not None
