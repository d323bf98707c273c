"""Parts as plain data, the inverse of `Family.build`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_jsonable_python

from tamis.errors import ConfigError
from tamis.parts.family import kind_of, written
from tamis.parts.options import NOT_GIVEN, usual


def dump(value: Any) -> Any:
    """Plain data for a part, or for anything that parts hold; fields at their default are left out.

    A part with a method `as_data` says itself how it is written. Raises `ConfigError` for an object that has no
    name, or one that cannot be read back because two packages claim it.
    """
    if hasattr(type(value), "as_data"):
        return value.as_data(dump)
    if name := written(type(value)):
        return {name: dump_fields(value)}
    if is_dataclass(value) and not isinstance(value, type) and kind_of(value) is None:
        return dump_fields(value)
    if isinstance(value, Mapping):
        return {plain(key): dump(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return [dump(item) for item in sorted(value, key=repr)]
    if isinstance(value, (list, tuple)):
        return [dump(item) for item in value]
    return plain(value)


def dump_fields(value: Any) -> dict[str, Any]:
    """The fields of a part that are not at their default, as plain data."""
    return {name: dump(item) for name, item in changed(value).items()}


def changed(value: Any) -> dict[str, Any]:
    """The fields of a part that are not at their default: all that distinguishes it from another of its class, whatever
    optional fields the class gets later. Those its constructor does not take, and those it does not show
    (`repr=False`), do not count."""
    shown = {f.name: (getattr(value, f.name), _default(f)) for f in fields(value) if f.repr and f.init}
    known = usual(type(value))
    return {
        name: item
        for name, (item, default) in shown.items()
        if item != default and not (name in known and item in (NOT_GIVEN, known[name]))
    }


def to_yaml(data: Any) -> str:
    """Plain data as YAML text."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: Any, value: str) -> Any:
        style = '"' if not _FOLDED.isdisjoint(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    made: str = yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True)
    return made


_FOLDED = frozenset("\x85\u2028\u2029")
"""Line breaks that PyYAML writes as they are and reads back as a space, unless the text is in double quotes."""


def plain(value: Any) -> Any:
    """A single value in the types that YAML and JSON have; a subclass of one of them becomes that type."""
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (str, PurePath)):
        return str(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if not isinstance(value, type) and kind_of(value) is None:
        with suppress(PydanticSerializationError):
            return to_jsonable_python(value)
    raise ConfigError(
        f"{type(value).__name__} cannot be written as data. Describe the pipeline by name, data or YAML with a model "
        "name (such as `model: llm`) and give the model when loading it; a class of your own needs an entry point that "
        "names it (docs/extending.md)."
    )


def _default(f: Any) -> Any:
    default = f.default_factory() if f.default_factory is not MISSING else f.default
    if isinstance(default, FieldInfo):
        default = default.get_default(call_default_factory=True)
    return f if default is MISSING else default
