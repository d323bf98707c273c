"""What every stage, criterion and source is made of: a frozen, validated dataclass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from functools import wraps
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from tamis.catalog import explain
from tamis.errors import ConfigError

T = TypeVar("T")
PART = ConfigDict(arbitrary_types_allowed=True, extra="forbid")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def part(cls: type[T]) -> type[T]:
    """Make `cls` a frozen pydantic dataclass whose bad arguments raise `ConfigError`: one line with name and value."""
    made: Any = dataclass(frozen=True, config=PART)(cls)
    made.__init__ = _readable(made.__init__, cls.__name__)
    return made


def _readable(init: Callable[..., None], name: str) -> Callable[..., None]:
    @wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except ValidationError as error:
            raise ConfigError(explain(name, error)) from None

    return checked
