"""Parts of a model that are made at first use: once for all threads, never pickled, and anew in a forked child."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar, Generic, TypeVar, cast, overload

from tamis.processes import renewed_in_child

T = TypeVar("T")
LOCK = "_lock"

_left_to_the_parent: list[Any] = []
"""Parts of models in a forked child: they belong to the parent, so nothing here may close or finalise them."""


class once(Generic[T]):
    """As `functools.cached_property`, but made once even when threads race for it."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> once[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            return self
        held = instance.__dict__
        if self._name not in held:
            with lock_of(instance):
                if self._name not in held:
                    held[self._name] = self._make(instance)
        return held[self._name]


def lock_of(instance: object) -> threading.RLock:
    """The instance's own lock."""
    held = instance.__dict__
    lock: threading.RLock | None = held.get(LOCK)
    if lock is None:
        lock = held.setdefault(LOCK, threading.RLock())
        renewed_in_child(instance, _renew)
    return lock


def _renew(instance: Any) -> None:
    """Leave the parts of a model to the parent process, but those that are plain numbers."""
    kept = {f.name for f in fields(instance)} | getattr(instance, "survive_fork", frozenset())
    held = instance.__dict__
    for name in [name for name in held if name not in kept]:
        _left_to_the_parent.append(held.pop(name))


class Lazy:
    """Base of dataclasses with `once` parts: a copy or pickle carries the fields only and makes the rest again.

    `survive_fork`: parts that a forked child may go on using, since they hold no thread, lock, socket or file.
    """

    survive_fork: ClassVar[frozenset[str]] = frozenset()

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(cast(Any, self))}

    def close(self) -> None:
        """Let go of everything that was made; the next call makes it again."""
        kept = {LOCK, *self.__getstate__()}
        with lock_of(self):
            for name in [name for name in self.__dict__ if name not in kept]:
                del self.__dict__[name]
