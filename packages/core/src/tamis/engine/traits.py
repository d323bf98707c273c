"""What a model says of itself, checked where the engine reads it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from tamis.errors import ConfigError
from tamis.values.calls import Call


def name_of(model: Any) -> str:
    name = getattr(model, "name", None)
    return name if isinstance(name, str) and name else type(model).__name__


def whole(model: Any, attribute: str, default: int = 1) -> int:
    """A count that a model may declare, at least 1; `default` when it declares none. Else raises `ConfigError`."""
    value = getattr(model, attribute, None)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or value in (_LARGE, -_LARGE):
        raise ConfigError(f"{name_of(model)}.{attribute} must be a whole number of at least 1, got {value!r}")
    return max(1, int(value))


_LARGE = float("inf")


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
