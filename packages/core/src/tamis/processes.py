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


def renewed_in_child(held: T, renew: Callable[[T], None]) -> None:
    """Call `renew(held)` in every child that this process forks while `held` is alive.

    `renew` must not refer to `held` itself (pass a function, not a bound method), wait for a lock, or raise.
    """
    key = id(held)
    _renewals[key] = ref(held, lambda _: _renewals.pop(key, None)), renew


def _in_child() -> None:
    for held, renew in list(_renewals.values()):
        if (alive := held()) is not None:
            renew(alive)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
