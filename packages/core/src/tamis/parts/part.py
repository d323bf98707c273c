"""What every stage, criterion and source is made of: a frozen, validated dataclass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from functools import wraps
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from tamis.errors import ConfigError

T = TypeVar("T")
PART = ConfigDict(arbitrary_types_allowed=True, extra="forbid")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def part(cls: type[T]) -> type[T]:
    """Make `cls` a frozen pydantic dataclass whose bad arguments raise `ConfigError`: one line with name and value."""
    made: Any = dataclass(frozen=True, config=PART)(cls)
    made.__init__ = _readable(made.__init__, cls.__name__)
    return made


def explain(what: str, error: ValidationError) -> str:
    """A pydantic `ValidationError` as one line a user can act on."""
    problems = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"])
        got = "" if item["type"] in ("missing", "value_error") else f" (got {item['input']!r:.80})"
        message = item["msg"].removeprefix("Value error, ").removeprefix(f"{what}: ")
        problems.append(f"{where}: {message}{got}" if where else f"{message}{got}")
    return f"{what}: " + "; ".join(problems)


def _readable(init: Callable[..., None], name: str) -> Callable[..., None]:
    @wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except ValidationError as error:
            raise ConfigError(explain(name, error)) from None

    return checked
