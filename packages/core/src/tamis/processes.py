"""What must not survive a fork: threads, locks, sockets, open files, places in a limit.

A forked child has one thread and copies of everything else. Objects that hold such things say here how they are made
new in the child, before any other code runs in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import ref

T = TypeVar("T")

_renewals: dict[int, tuple[ref[Any], Callable[[Any], None]]] = {}
_pauses: dict[int, tuple[ref[Any], Callable[[Any], None], Callable[[Any], None]]] = {}


def renewed_in_child(held: T, renew: Callable[[T], None]) -> None:
    """Call `renew(held)` in every child that this process forks while `held` is alive.

    `renew` must not refer to `held` itself (pass a function, not a bound method), wait for a lock, or raise.
    """
    key = id(held)
    _renewals[key] = ref(held, lambda _: _renewals.pop(key, None)), renew


def paused_for_fork(held: T, pause: Callable[[T], None], resume: Callable[[T], None]) -> None:
    """Call `pause(held)` before this process forks and `resume(held)` in the parent after it, for what a child cannot
    make new since a library keeps it: the child begins with what `pause` left. Neither may refer to `held` itself or
    raise, and `pause` waits no longer than a moment."""
    key = id(held)
    _pauses[key] = ref(held, lambda _: _pauses.pop(key, None)), pause, resume


def _before() -> None:
    for held, pause, _ in list(_pauses.values()):
        if (alive := held()) is not None:
            pause(alive)


def _in_parent() -> None:
    for held, _, resume in list(_pauses.values()):
        if (alive := held()) is not None:
            resume(alive)


def _in_child() -> None:
    for held, renew in list(_renewals.values()):
        if (alive := held()) is not None:
            renew(alive)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
