"""A Python function as a model."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tamis.errors import ConfigError
from tamis.values.answers import Answer, Failure
from tamis.values.calls import CAPABILITIES, Call, Capability
from tamis.values.scale import UNKNOWN, Scale


class Function:
    """Wraps `function(call) -> value`, plain or async, as a model with one capability.

    `call` is the call dataclass (`Generate`, `Classify`, ...). The value may be the answer dataclass, a `Failure`, or
    the bare value: a string for `generate`, a number for `classify` and `classify_vectors`, rows of numbers for
    `embed_tokens`, numbers for the others. `scale` is what the scores among them mean. `max_concurrency`: calls at
    once. A plain function runs in threads; an async one needs `arerank`.

    >>> model = Function(lambda call: len(call.text), "classify")
    """

    max_batch = 1

    def __init__(
        self,
        function: Callable[[Any], Any] | Callable[[Any], Awaitable[Any]],
        capability: Capability,
        *,
        name: str | None = None,
        scale: Scale = UNKNOWN,
        max_concurrency: int = 16,
    ) -> None:
        if capability not in CAPABILITIES:
            raise ConfigError(f"capability must be one of {', '.join(CAPABILITIES)}, got {capability!r}")
        self.name = name or getattr(function, "__name__", type(function).__name__)
        self.capabilities = (capability,)
        self.scale = scale
        self.max_concurrency = max_concurrency
        self._function = function
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
            setattr(self, f"a{capability}", self._aanswer)
        else:
            setattr(self, capability, self._answer)

    def _answer(self, calls: Sequence[Call]) -> list[Any]:
        return [as_answer(call, self._function(call)) for call in calls]

    async def _aanswer(self, calls: Sequence[Call]) -> list[Any]:
        return [as_answer(call, await self._function(call)) for call in calls]


def as_answer(call: Call, value: Any) -> Answer | Failure:
    """The answer dataclass for a bare value; a `Failure` when the value has no such shape."""
    if isinstance(value, (Answer, Failure)):
        return value
    try:
        return call.answer.of(value)
    except (TypeError, ValueError):
        return Failure("malformed", f"a {call.capability} function gave {type(value).__name__}")
