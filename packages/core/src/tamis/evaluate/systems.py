"""From what a user names to the systems an evaluation compares: pipelines, and rankings recorded in run files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tamis.errors import ConfigError
from tamis.evaluate.files import is_run
from tamis.parts.permissions import ALL, Allow
from tamis.parts.plugins import normal
from tamis.recipes.load import load, model_names, refuse_idle
from tamis.stage.base import Stage


@dataclass(frozen=True, slots=True)
class Recorded:
    """A ranking somebody else made, in a run file."""

    path: Path


@dataclass(frozen=True, slots=True)
class Named:
    """A system under the name reports use. `described` is its YAML, or the path of its run."""

    name: str
    source: Stage | Recorded
    described: str


def named(
    pipelines: Any,
    models: Mapping[str, Any] | None = None,
    stand_in: Callable[[str], Any] | None = None,
    allow: Allow = (),
) -> list[Named]:
    """Systems from a mapping of names to pipelines, a sequence of pipelines, or one pipeline.

    A pipeline is anything `tamis.load` takes, an import path `"package.module:attribute"` (a stage, plain data, or a
    function without arguments that returns one), or the path of a run file. A sequence may name its members,
    `"mine=pipeline.yaml"`; the others are called after their preset, file or stage, numbered where names repeat.
    `models` may hold more than one pipeline calls for; `ConfigError` for a model that none calls. What a pipeline
    lacks, `stand_in` makes from the name. `allow`: what pipelines in data may do, as for `tamis.load`; what an import
    path names is the caller's own and may do everything.
    """
    made: list[Named] = []
    used: set[str] = set()
    for name, source in _pairs(pipelines):
        system, names = _built(source, models or {}, stand_in, allow)
        used.update(names)
        chosen = name or _name(source, system)
        if name is not None and any(other.name == name for other in made):
            raise ConfigError(f"two systems are called {name!r}; names must differ")
        made.append(Named(_distinct(chosen, made), system, _described(source, system)))
    refuse_idle(models or {}, used)
    return made


def _pairs(pipelines: Any) -> Iterable[tuple[str | None, Any]]:
    if isinstance(pipelines, Mapping):
        return [(str(name), source) for name, source in pipelines.items()]
    if isinstance(pipelines, (str, Path, Stage, Recorded)):
        pipelines = [pipelines]
    return [_split(source) if isinstance(source, str) else (None, source) for source in pipelines]


def _split(text: str) -> tuple[str | None, str]:
    name, mark, source = text.partition("=")
    return (name.strip(), source.strip()) if mark and name.strip() and source.strip() else (None, text)


def _built(
    source: Any, models: Mapping[str, Any], stand_in: Callable[[str], Any] | None, allow: Allow
) -> tuple[Stage | Recorded, tuple[str, ...]]:
    """The system, and the models that it calls by name."""
    if isinstance(source, (Stage, Recorded)):
        return source, ()
    if isinstance(source, (str, Path)) and is_run(Path(source)):
        if not Path(source).is_file():
            raise ConfigError(f"no run file at {str(source)!r}")
        return Recorded(Path(source)), ()
    if isinstance(source, str) and ":" in source and not source.endswith((".yaml", ".yml")):
        source = _imported(source)
        allow = allow if isinstance(source, (str, Path)) else ALL
        if isinstance(source, Stage):
            return source, ()
    names = model_names(source, allow)
    given = {normal(name): model for name, model in models.items()}
    used = {name: given[name] for name in names if name in given}
    missing = {name: stand_in(name) for name in names if name not in given} if stand_in else {}
    return load(source, models=used | missing, allow=allow), names


def _imported(path: str) -> Any:
    module, _, attribute = path.partition(":")
    try:
        value = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"cannot import a pipeline from {path!r}: {error}") from error
    return value() if callable(value) and not isinstance(value, Stage) else value


def _name(source: Any, system: Stage | Recorded) -> str:
    if isinstance(source, (str, Path)):
        text = str(source)
        return text.rpartition(":")[2] if ":" in text else Path(text.removesuffix(".gz")).stem
    return type(system).__name__ if isinstance(system, Stage) else system.path.stem


def _distinct(name: str, made: Sequence[Named]) -> str:
    taken = {system.name for system in made}
    names = (name, *(f"{name} ({count})" for count in range(2, len(made) + 2)))
    return next(free for free in names if free not in taken)


def _described(source: Any, system: Stage | Recorded) -> str:
    if isinstance(system, Recorded):
        return f"recorded run: {system.path.name}"
    try:
        return system.to_yaml()
    except ConfigError:
        return str(source) if isinstance(source, str) else repr(system)
