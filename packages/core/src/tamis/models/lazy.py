"""Parts of a model that are made at first use: once, whatever the threads, and never pickled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Generic, TypeVar, cast, overload

T = TypeVar("T")
LOCK = "_lock"


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
    lock: threading.RLock = instance.__dict__.setdefault(LOCK, threading.RLock())
    return lock


class Lazy:
    """Base of dataclasses with `once` parts: a copy or pickle carries the fields only and makes the rest again."""

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(cast(Any, self))}

    def close(self) -> None:
        """Let go of everything that was made; the next call makes it again."""
        kept = {LOCK, *self.__getstate__()}
        with lock_of(self):
            for name in [name for name in self.__dict__ if name not in kept]:
                del self.__dict__[name]
