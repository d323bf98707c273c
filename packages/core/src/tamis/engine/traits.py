"""What a model says of itself, checked where the engine reads it."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import replace
from numbers import Real
from typing import Any, TypeVar

from tamis.engine.answers import is_the_users
from tamis.errors import ConfigError
from tamis.values.calls import Call, Generate

C = TypeVar("C", bound=Call)
LIMITS = ("max_batch", "max_concurrency", "requests_per_minute", "tokens_per_minute")


def read(model: Any, attribute: str) -> Any:
    """An attribute of a model; `None` when it has none or reading it fails. For what is of use but not needed."""
    try:
        return getattr(model, attribute, None)
    except BaseException as error:
        if is_the_users(error):
            raise
        return None


def name_of(model: Any) -> str:
    name = read(model, "name")
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


def with_thoughts(call: C) -> C:
    """`call` with the output tokens that its model asks for to think in, as far as its context window reaches.

    >>> class Thinker:
    ...     thinking_tokens = 4096
    >>> with_thoughts(Generate(Thinker(), (), max_tokens=88)).tokens_at_most()
    4184
    """
    if not isinstance(call, Generate) or call.thoughts is not None:
        return call
    room = whole(call.model, "thinking_tokens")
    if room is None:
        return call
    window = whole(call.model, "context_window")
    if window is not None:
        room = min(room, window - call.tokens_read() - call.max_tokens)
    return replace(call, thoughts=room) if room > 0 else call


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
