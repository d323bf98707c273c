"""Reads the files of published ranking models."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator

from tamis.errors import ConfigError
from tamis.parts.part import part
from tamis.parts.shelf import ENDING, Shelf, parse, read_text

T = TypeVar("T")

CHECKPOINTS = Shelf("checkpoint", "tamis", "checkpoints", "tamis.checkpoints")
"""The files by name; other packages add theirs in the entry point group `tamis.checkpoints`."""


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, Mapping) else value


@part
class Published:
    """One file.

    Args:
        title: what it is, in one line.
        paper: authors, year, where to find it.
        note: what its users should know.
        stage: the pipeline it was published with, as `tamis.load` reads it. The file is then also a preset.
        checkpoint: the facts of its models, as fields of `tamis.recipes.cards.Checkpoint`; a list where its models
            differ. Without it, the weights were not published.
        template: the turns of its prompt, as fields of `tamis.prompts.template.Template`; judges name it by the name
            of the file.
        wording: the pieces of its prompt, as fields of `tamis.prompts.wordings.Wording`, for `LMCrossEncoder`.
        shapes: for each beginning of its models' names, the fields of a `tamis.compute.flops.Architecture`, or the
            name of a model of the same shape.
        reference: published results, and their source.
        name, path: of the file.
    """

    title: str
    paper: str = ""
    note: str = ""
    stage: Any = None
    checkpoint: Annotated[tuple[Mapping[str, Any], ...], BeforeValidator(_listed)] = ()
    template: Mapping[str, Any] | None = None
    wording: Mapping[str, Any] | None = None
    shapes: Mapping[str, str | Mapping[str, Any]] | None = None
    reference: Mapping[str, Any] | None = None
    name: str = ""
    path: str = ""


def published(name: str) -> Published:
    """The file called `name`. `ConfigError` for an unknown name, and for a file with a wrong field.

    >>> published("qwen3-reranker").shapes["Qwen3-Reranker-4B"]
    'Qwen3-4B'
    """
    return _read(CHECKPOINTS.path(name))


def every(make: Callable[[Published], T | None]) -> dict[str, T]:
    """What `make` makes of each file, by the file's name, without the files it returns `None` for.

    A file that cannot be read or made something of is left out with a warning that names it, so that one broken package
    does not take the others away.
    """
    found: dict[str, T] = {}
    for name, path in CHECKPOINTS.paths():
        try:
            value = make(_read(path))
        except ConfigError as error:
            warnings.warn(f"left out the checkpoint {name!r}: {error}", stacklevel=2)
        else:
            found |= {} if value is None else {name: value}
    return found


def _read(path: Any) -> Published:
    return _published(str(path), path.name.removesuffix(ENDING).replace("_", "-"), read_text(path))


@lru_cache(maxsize=256)
def _published(path: str, name: str, text: str) -> Published:
    """Kept by its text, so that a file that was changed is read again."""
    fields = parse(text, path)
    if not isinstance(fields, Mapping):
        raise ConfigError(f"{path}: a checkpoint file holds fields (title: ...), not {type(fields).__name__}")
    if own := {"name", "path"} & set(fields):
        raise ConfigError(f"{path}: {own.pop()} is not stated: it is that of the file")
    return made(path, "", Published, {**fields, "name": name, "path": path})


def made(path: str, field: str, make: Callable[..., T], fields: Mapping[str, Any]) -> T:
    """`make(**fields)`, whose `ConfigError` then names the file and the field that hold `fields`."""
    try:
        return make(**fields)
    except ConfigError as error:
        raise ConfigError(f"{path}: {field}{': ' * bool(field)}{error}") from error
