"""What a production service asks of an engine, as validated data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from tamis.engine.trace import Event
from tamis.errors import ConfigError
from tamis.parts.options import NOT_GIVEN, OPTIONAL, refuse, settle
from tamis.parts.part import part

LONGEST = 1e8
"""Seconds, three years: clocks of operating systems refuse to wait for much longer."""
Seconds = Annotated[float, Field(strict=True, gt=0, le=LONGEST, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0)]
Wait = Annotated[float, Field(strict=True, ge=0, le=LONGEST, allow_inf_nan=False)]
RENAMED = {"passages": "vectors"}
"""What options were called before, and what they are called now."""


class Default(str):
    """The value of an option that was not given: it has an effect where it can, and is refused nowhere."""

    __slots__ = ()


def _cache(value: Any) -> Any:
    path = str(value) if isinstance(value, (str, Path)) else None
    if path is not None and path != "memory" and not path.endswith(".sqlite"):
        raise ValueError("must be 'memory', None, a path ending in '.sqlite' or an object with `get` and `put`")
    if path is None and value is not None and not _keeps(value):
        raise ValueError("must be 'memory', None, a path ending in '.sqlite' or an object with `get` and `put`")
    return path if path is not None else value


def _vectors(value: Any) -> Any:
    if isinstance(value, (str, Path)):
        if not str(value).strip():
            raise ValueError("must be 'memory', None, a folder or an object with `get` and `put`, not an empty path")
        if str(value).endswith(".sqlite"):
            raise ValueError("must be a folder; a file that ends in '.sqlite' is for the option `cache`")
    elif value is not None and not _keeps(value):
        raise ValueError("must be 'memory', None, a folder or an object with `get` and `put`")
    return value


def _keeps(value: Any) -> bool:
    return callable(getattr(value, "get", None)) and callable(getattr(value, "put", None))


@part
class EngineOptions:
    """The keyword arguments of `Engine`, which documents them. Raises `ConfigError` naming option, value and remedy."""

    deadline: Seconds | None = None
    max_calls: Count | None = None
    max_tokens: Count | None = None
    over_budget: Literal["stop", "refuse"] = "stop"
    concurrency: Annotated[int, Field(strict=True, ge=1)] | None = None
    retries: Count = 2
    backoff: Annotated[Wait, OPTIONAL] = NOT_GIVEN
    on_failure: Literal["keep", "raise"] = "keep"
    cache: Annotated[Any, BeforeValidator(_cache)] = "memory"
    vectors: Annotated[Any, BeforeValidator(_vectors)] = Default("memory")
    on_event: Callable[[Event], Any] | None = None

    usual: ClassVar[Mapping[str, Any]] = {"backoff": 0.5}

    def __post_init__(self) -> None:
        settle(self, "backoff", off=None if self.retries else "with retries=0", remedy="allow retries")
        if self.over_budget == "refuse" and self.max_calls is None and self.max_tokens is None:
            refuse(self, ["over_budget"], "without a budget", "give max_calls or max_tokens")
        in_memory = isinstance(self.vectors, str) and self.vectors == "memory"
        if self.cache is None and in_memory and not isinstance(self.vectors, Default):
            refuse(self, ["vectors"], "with cache=None, as vectors in memory go with a cache", "give a folder")


def checked(options: Mapping[str, Any]) -> EngineOptions:
    """The options of an engine from its keyword arguments."""
    for name in options:
        if name in RENAMED:
            raise ConfigError(f"EngineOptions: the option {name!r} is now called {RENAMED[name]!r}")
    return EngineOptions(**options)
