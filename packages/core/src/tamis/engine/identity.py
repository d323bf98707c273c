"""One value per live object, by identity, that goes when the object goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import ref

from tamis.processes import renewed_in_child

T = TypeVar("T")
KEPT_SECONDS = 120.0
"""Objects that take no weak reference (classes with `__slots__`) are held this long after their value was last asked
for, and longer while it is in use."""


class ByIdentity(Generic[T]):
    """The value that `make` gave for each live object.

    Objects are told apart by identity, so they need no hash and may compare equal. `in_use`: whether a value must stay
    although nobody has asked for it for long.
    """

    def __init__(
        self,
        make: Callable[[], T],
        in_use: Callable[[T], bool] = lambda value: False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._in_use = in_use
        self._now = now
        self._weak: dict[int, tuple[ref[Any], T]] = {}
        self._strong: dict[int, list[Any]] = {}
        self._begin()
        renewed_in_child(self, ByIdentity._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._weak) + len(self._strong)

    def of(self, held: Any) -> T:
        key = id(held)
        known = self._weak.get(key)
        if known is not None and known[0]() is held:
            return known[1]
        with self._lock:
            known = self._weak.get(key)
            if known is not None and known[0]() is held:
                return known[1]
            if key in self._strong:
                self._strong[key][2] = self._now()
                value: T = self._strong[key][1]
                return value
            value = self._make()
            try:
                # The callback takes no lock: the garbage collector may call it in a thread that holds ours.
                self._weak[key] = ref(held, lambda _: self._weak.pop(key, None)), value
            except TypeError:
                self._forget_idle()
                self._strong[key] = [held, value, self._now()]
            return value

    def _forget_idle(self) -> None:
        for key, (_, value, asked) in list(self._strong.items()):
            if self._now() - asked > KEPT_SECONDS and not self._in_use(value):
                del self._strong[key]
