"""Ready pipelines, found by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tamis.checkpoints.published import CHECKPOINTS, all_published, made, published
from tamis.errors import ConfigError
from tamis.parts.family import unknown
from tamis.parts.part import part
from tamis.parts.shelf import Shelf


@part
class Preset:
    """A pipeline (`stage`, as `tamis.load` reads it) and what to know of it; `reference`: published results."""

    title: str
    stage: Any
    paper: str = ""
    note: str = ""
    reference: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Presets:
    """Those of methods, a YAML file each, and those of trained models, whose file in `tamis.checkpoints` has a `stage`.

    Other packages add theirs in the entry point groups `tamis.presets` and `tamis.checkpoints`.
    """

    methods: Shelf

    def __contains__(self, name: object) -> bool:
        return name in self.methods or (isinstance(name, str) and _is_trained(name))

    def names(self) -> tuple[str, ...]:
        """In alphabetical order."""
        trained = (name for name, file in all_published().items() if file.stage is not None)
        return tuple(sorted({*self.methods.names(), *trained}))

    def data(self, name: str) -> dict[str, Any]:
        """The fields of the `Preset` called `name` that are stated. `ConfigError` for an unknown name, one that two
        files claim, and a file with a wrong field."""
        if name not in self:
            raise ConfigError(unknown("preset", name, self.names()))
        if not _is_trained(name):
            told = self.methods.data(name)
            path = str(self.methods.path(name))
            if not isinstance(told, Mapping):
                raise ConfigError(f"{path}: a preset holds fields (title: ..., stage: ...), not {type(told).__name__}")
            made(path, "", Preset, told)
            return dict(told)
        if name in self.methods:
            claims = f"{self.methods.path(name)} and {CHECKPOINTS.path(name)}"
            raise ConfigError(f"the preset name {name!r} is claimed by {claims}: rename one of them")
        file = published(name)
        stated = ((field.name, getattr(file, field.name)) for field in fields(Preset))
        return {name: value for name, value in stated if value not in ("", None)}


def _is_trained(name: str) -> bool:
    return name in CHECKPOINTS and published(name).stage is not None


PRESETS = Presets(Shelf("preset", "tamis.recipes", "presets", "tamis.presets"))
