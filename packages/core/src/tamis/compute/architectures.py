"""The architectures of well-known public models, by the names they go by.

Those of rerankers are in the files of `tamis.checkpoints`, those of other models in `shapes.yaml`. A shape is stated
once: a model of the same shape as another names that one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator

from tamis.checkpoints.published import every, made
from tamis.compute.flops import Architecture
from tamis.errors import ConfigError
from tamis.parts.shelf import parse, read_text


def architecture_of(model: Any) -> Architecture | None:
    """What a model object says of itself in `architecture`, else what its `name` says; `None` when neither tells."""
    declared = getattr(model, "architecture", None)
    if isinstance(declared, Architecture):
        return declared
    name = declared or getattr(model, "name", None)
    return architecture_named(name) if isinstance(name, str) else None


@lru_cache(maxsize=256)
def architecture_named(name: str) -> Architecture | None:
    """The architecture of a public model, its name spelt as hubs and servers do; `None` for an unknown one.

    What follows a known name after a hyphen (`-instruct`, `-v2`, `-q4_K_M`, ...) is taken for a version of that model.
    Raises `ConfigError` where the file that states it is wrong.

    >>> architecture_named("Qwen/Qwen3-8B-AWQ") == architecture_named("qwen3:8b") == architectures()["Qwen3-8B"]
    True
    """
    stated = _stated()
    parts = _plain(name).split("-")
    beginnings = ("-".join(parts[:end]) for end in range(len(parts), 0, -1))
    known = next((beginning for beginning in beginnings if beginning in stated), None)
    return None if known is None else _architecture(known, stated)


def architectures() -> dict[str, Architecture]:
    """All that are known, by name. Raises `ConfigError` where one is stated wrong."""
    stated = _stated()
    return {shape.name: _architecture(plain, stated) for plain, (shape, *_) in stated.items()}


class Shape(NamedTuple):
    """What the file at `path` states of the model `name`: the fields of its shape, or a model of the same shape."""

    path: str
    name: str
    value: str | Mapping[str, Any]


Stated = Mapping[str, Sequence[Shape]]
"""By plain name; more than one where several files state it."""


def _stated() -> Stated:
    found: dict[str, list[Shape]] = {}
    for shape in shapes():
        found.setdefault(_plain(shape.name), []).append(shape)
    return found


def shapes() -> Iterator[Shape]:
    """What is stated, file by file."""
    path = resources.files(__package__) / "shapes.yaml"
    for name, value in _base(str(path), read_text(path)).items():
        yield Shape(str(path), name, value)
    for file, stated in every(lambda file: (file.path, file.shapes) if file.shapes else None).values():
        yield from (Shape(file, name, value) for name, value in stated.items())


@lru_cache(maxsize=1)
def _base(path: str, text: str) -> Mapping[str, Any]:
    shapes: Mapping[str, Any] = parse(text, path)
    return shapes


def _architecture(plain: str, stated: Stated, passed: tuple[str, ...] = ()) -> Architecture:
    (path, name, value), *others = stated[plain]
    if others:
        files = " and ".join(dict.fromkeys(shape.path for shape in stated[plain]))
        raise ConfigError(f"the shape of {name} is stated more than once, in {files}: remove one")
    if not isinstance(value, str):
        return made(path, f"shapes.{name}", Architecture, value)
    same = _plain(value)
    if same not in stated:
        raise ConfigError(f"{path}: shapes.{name}: {_unknown(value, stated)}")
    if same in (*passed, plain):
        raise ConfigError(f"{path}: shapes.{name}: {name} and {value} name each other; state the shape of one")
    return _architecture(same, stated, (*passed, plain))


def _plain(name: str) -> str:
    """Without owner, case and ways to write a hyphen: `Llama-3.1-8B` and `llama3.1:8b` are both `llama3.1-8b`."""
    words = re.sub(r"[-_:\s]+|\.(?!\d)", "-", name.rpartition("/")[2].lower())
    return re.sub(r"(?<=[a-z])-(?=\d)", "", words).removeprefix("meta-")


def _unknown(name: str, stated: Stated) -> str:
    near = difflib.get_close_matches(_plain(name), stated, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return (
        f"no well-known model is called {name!r}. {hint}tamis.compute.architectures.architectures() lists them; for "
        "another model give the fields of a tamis.compute.flops.Architecture"
    )


def _described(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Architecture(**value)
    if isinstance(value, str) and architecture_named(value) is None:
        raise ConfigError(_unknown(value, _stated()))
    return value


ArchitectureRef = Annotated[Architecture | str | None, BeforeValidator(_described)]
"""Field type: an `Architecture`, the mapping of its fields, or a name that `architecture_named` knows."""
