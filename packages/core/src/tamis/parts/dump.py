"""Parts as plain data, the inverse of `Family.build`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime
from typing import Any

from tamis.errors import ConfigError
from tamis.parts.family import name_of


def dump(value: Any) -> Any:
    """Plain data for a part, or for anything that parts hold; fields at their default are left out.

    A part with a method `as_data` says itself how it is written. Raises `ConfigError` for an object that has no name.
    """
    if hasattr(type(value), "as_data"):
        return value.as_data(dump)
    if name := name_of(type(value)):
        return {name: dump_fields(value)}
    if is_dataclass(value) and not isinstance(value, type) and type(value).__module__.startswith("tamis."):
        return dump_fields(value)
    if isinstance(value, Mapping):
        return {key: dump(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [dump(item) for item in value]
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise ConfigError(
        f"{type(value).__name__} cannot be written as data. Describe the pipeline by name, data or YAML with a model "
        "name (such as `model: llm`) and give the model when loading it; a class of your own needs an entry point that "
        "names it (docs/extending.md)."
    )


def dump_fields(value: Any) -> dict[str, Any]:
    """The fields of a part that are not at their default, as plain data."""
    return {name: dump(item) for name, item in changed(value).items()}


def changed(value: Any) -> dict[str, Any]:
    """The fields of a part that are not at their default: all that distinguishes it from another of its class, whatever
    optional fields the class gets later."""
    shown = {f.name: (getattr(value, f.name), _default(f)) for f in fields(value) if f.repr}
    return {name: item for name, (item, default) in shown.items() if item != default}


def to_yaml(data: Any) -> str:
    """Plain data as YAML text."""
    import yaml

    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _default(f: Any) -> Any:
    return f.default if f.default is not MISSING else f.default_factory() if f.default_factory is not MISSING else f
