"""Options that another option can switch off. Given together with what switches them off they are refused.

Such a field is `Annotated[T, OPTIONAL] = NOT_GIVEN`; its usual value is the class attribute `usual`, and
`settle`, called in `__post_init__`, fills it in where the option has an effect:

    window: Annotated[TwoOrMore, OPTIONAL] = NOT_GIVEN
    schedule: ScheduleRef | None = None
    usual: ClassVar[Mapping[str, Any]] = {"window": 20}

    def __post_init__(self) -> None:
        settle(self, "window", off="with a schedule" if self.schedule else None, remedy="the schedule")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import WrapValidator

from tamis.errors import ConfigError

NOT_GIVEN: Any = None


def _given(value: Any, validate: Callable[[Any], Any]) -> Any:
    return value if value is NOT_GIVEN else validate(value)


OPTIONAL = WrapValidator(_given)
"""Beside a type in `Annotated`: the option may also be left out."""


def usual(cls: type) -> Mapping[str, Any]:
    """The values that options of `cls` have where they are not given and nothing switches them off."""
    found: Mapping[str, Any] = getattr(cls, "usual", {})
    return found


def settle(part: Any, *names: str, off: str | None = None, remedy: str | None = None) -> None:
    """Fill in the usual values of the options `names` that were not given.

    `off`: what switches them off, such as "with a schedule"; `None`: nothing does. Then they stay `None`, and one that
    was given raises `ConfigError`. `remedy`: what else could be done than to drop them.
    """
    if off is None:
        for name in names:
            if getattr(part, name) is NOT_GIVEN:
                object.__setattr__(part, name, usual(type(part))[name])
        return
    refuse(part, [name for name in names if getattr(part, name) is not NOT_GIVEN], off, remedy)


def refuse(part: Any, names: Sequence[str], off: str, remedy: str | None = None) -> None:
    """Raise `ConfigError` unless `names` is empty: options that were given and have no effect, and why."""
    if not names:
        return
    has, them = ("has", "it") if len(names) == 1 else ("have", "them")
    listed = " and ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])
    other = f", or {remedy}" if remedy else ""
    raise ConfigError(f"{type(part).__name__}: {listed} {has} no effect {off}. Drop {them}{other}.")
