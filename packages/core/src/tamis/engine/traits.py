"""What a model says of itself, checked where the engine reads it."""

from __future__ import annotations

import math
from collections.abc import Hashable
from numbers import Real
from typing import Any

from tamis.errors import ConfigError
from tamis.values.calls import Call

LIMITS = ("max_batch", "max_concurrency", "requests_per_minute", "tokens_per_minute")


def name_of(model: Any) -> str:
    name = getattr(model, "name", None)
    return name if isinstance(name, str) and name else type(model).__name__


def whole(model: Any, attribute: str) -> int | None:
    """A count that a model may declare, at least 1; `None` when it declares none. `ConfigError` for anything else."""
    value = getattr(model, attribute, None)
    if value is None:
        return None
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 1 <= value < math.inf or value != int(value):
        raise ConfigError(
            f"{name_of(model)}.{attribute} must be a whole number of at least 1, or None for no limit; got {value!r}"
        )
    return int(value)


def check_limits(model: Any) -> None:
    """Raise `ConfigError` for a limit of a model that is no whole number of at least 1."""
    for attribute in LIMITS:
        whole(model, attribute)


def group_of(call: Call) -> Hashable:
    """What calls of a batch must have in common for this model. `ConfigError` when the model's `together` fails."""
    together = getattr(call.model, "together", None)
    if together is None:
        return None
    try:
        group: Hashable = together(call)
        hash(group)
    except Exception as error:
        raise ConfigError(
            f"{name_of(call.model)}.together(call) must return something hashable, equal for calls that may share a "
            f"batch; it failed with {type(error).__name__}: {error}"
        ) from error
    return group
