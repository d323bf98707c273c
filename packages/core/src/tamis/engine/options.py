"""What a production service asks of an engine, as validated data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tamis.engine.trace import Event
from tamis.parts.part import part

LONGEST = 1e8
"""Seconds, three years: clocks of operating systems refuse to wait for much longer."""
Seconds = Annotated[float, Field(strict=True, gt=0, le=LONGEST, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0)]


def _cache(value: Any) -> Any:
    path = str(value) if isinstance(value, (str, Path)) else None
    if path is not None and path != "memory" and not path.endswith(".sqlite"):
        raise ValueError("must be 'memory', None, a path ending in '.sqlite' or an object with `get` and `put`")
    if path is None and value is not None and not _keeps(value):
        raise ValueError("must be 'memory', None, a path ending in '.sqlite' or an object with `get` and `put`")
    return path if path is not None else value


def _vectors(value: Any) -> Any:
    if value is not None and not isinstance(value, (str, Path)) and not _keeps(value):
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
    backoff: Annotated[float, Field(strict=True, ge=0, le=LONGEST, allow_inf_nan=False)] = 0.5
    on_failure: Literal["keep", "raise"] = "keep"
    cache: Annotated[Any, BeforeValidator(_cache)] = "memory"
    vectors: Annotated[Any, BeforeValidator(_vectors)] = "memory"
    on_event: Callable[[Event], Any] | None = None
