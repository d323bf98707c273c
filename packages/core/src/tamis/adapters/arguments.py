"""Checks of what a caller hands to an adapter. Each returns the value, or raises an error that names the argument, the
value and what to give instead.

`error`: `ConfigError` for arguments of a constructor, `InputError` for those of a call; both are `ValueError`s.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from reprlib import repr as short
from typing import Any, TypeVar

from tamis.errors import InputError, TamisError
from tamis.parts.permissions import ALL, Allow

Kind = TypeVar("Kind")


def permitted(pipeline: Any, allow: Allow | None) -> Allow:
    """What a pipeline may do beyond computing: `allow`, where it is given. Else what the caller wrote in Python may do
    everything, and a file, which anyone may have written, nothing."""
    if allow is not None:
        return allow
    return () if isinstance(pipeline, (str, Path)) else ALL


def limit(name: str, value: Any, error: type[TamisError] = InputError) -> int | None:
    """How many to keep at most: a whole number of at least 1, or `None`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise error(f"{name} must be a whole number > 0, such as 5, or None for no limit; got {short(value)}")
    return int(value)


def threshold(name: str, value: Any, error: type[TamisError] = InputError) -> float | None:
    """The lowest score to keep: a finite number, or `None`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise error(f"{name} must be a finite number on the pipeline's scale, or None; got {short(value)}")
    return float(value)


def flag(name: str, value: Any, error: type[TamisError] = InputError) -> bool:
    """`True` or `False`."""
    if not isinstance(value, bool):
        raise error(f"{name} must be True or False, got {short(value)}")
    return value


def names(name: str, value: Any, error: type[TamisError] = InputError) -> list[str]:
    """Several strings. One string alone is refused: it would be read letter by letter."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        example = [value] if isinstance(value, str) else ["title"]
        raise error(f"{name} must be a list of strings, such as {example}; got {short(value)}")
    found = list(value)
    if wrong := [item for item in found if not isinstance(item, str)]:
        raise error(f"{name} must be a list of strings; one of them is {short(wrong[0])}")
    return found


def documents(name: str, value: Any, kind: type[Kind], remedy: str) -> list[Kind]:
    """What is to be ranked: any number of the framework's documents."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InputError(f"{name} must be a list of {kind.__name__}, got {type(value).__name__}. {remedy}")
    found = list(value)
    for place, item in enumerate(found):
        if not isinstance(item, kind):
            raise InputError(f"{name}[{place}] must be a {kind.__name__}, got {type(item).__name__}. {remedy}")
    return found


def callback(name: str, value: Any, error: type[TamisError] = InputError) -> Any:
    """A plain function, or `None`. A coroutine function is refused: nothing would await it."""
    if value is None:
        return None
    if not callable(value):
        raise error(f"{name} must be a function that takes a tamis.Ranking, or None; got {short(value)}")
    if inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(type(value).__call__):
        raise error(f"{name} must be a plain function: it is called, not awaited, in sync and async code alike")
    return value


def engine_data(engine: Any, error: type[TamisError] = InputError) -> dict[str, Any] | None:
    """Engine options as plain data; an error for an `Engine` and for options that are live objects."""
    if engine is None:
        return None
    if not isinstance(engine, Mapping):
        raise error("an Engine object cannot be written as data: give its options as a mapping, {'deadline': 2.0}")
    data = {str(name): str(value) if isinstance(value, Path) else value for name, value in engine.items()}
    live = [name for name, value in data.items() if not isinstance(value, (str, int, float, type(None)))]
    if live:
        raise error(
            f"the engine option {live[0]}={short(data[live[0]])} cannot be written as data: "
            "give a plain value, such as a path for cache or vectors"
        )
    return data
