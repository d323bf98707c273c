"""Ready pipelines, found by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tamis.checkpoints.published import CHECKPOINTS, Published, every, made, published
from tamis.parts.part import part
from tamis.parts.plugins import claimed
from tamis.parts.shelf import Shelf

SHOWN = 120
"""Characters of a stage that a message shows at most."""


@part
class Preset:
    """A pipeline (`stage`, as `tamis.load` reads it) and what to know of it; `reference`: published results."""

    title: str
    stage: Any
    paper: str = ""
    note: str = ""
    reference: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Presets(Shelf):
    """Those of methods, a YAML file each, and those of trained models, whose file in `tamis.checkpoints` has a `stage`.

    Other packages add theirs in the entry point groups `tamis.presets` and `tamis.checkpoints`.
    """

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or _trained(name) is not None

    def names(self) -> tuple[str, ...]:
        return tuple(sorted({*super().names(), *every(lambda file: None if file.stage is None else file.name)}))

    def package_of(self, name: str) -> str | None:
        return super().package_of(name) if _trained(name) is None else CHECKPOINTS.package_of(name)

    def data(self, name: str) -> Mapping[str, Any]:
        """The fields of the `Preset` called `name` that are stated. `ConfigError` for an unknown name, one that two
        files claim, and a file with a wrong field."""
        file = _trained(name)
        if file is None:
            stated = super().data(name)
            made(str(self.path(name)), "", Preset, stated)
            return stated
        if super().__contains__(name):
            raise claimed(self.kind, name, [*self.claims(name), *CHECKPOINTS.claims(name)])
        values = ((field.name, getattr(file, field.name)) for field in fields(Preset))
        return {key: value for key, value in values if value not in ("", None)}


def no_options(name: str) -> str:
    """What to say where the preset `name` is written as a stage with options; with its stage, if it is but one."""
    import yaml

    said = f"{name!r} is a preset, not a stage, and takes no options: write - {name}"
    stage = PRESETS.data(name)["stage"]
    only = stage[0] if isinstance(stage, list) and len(stage) == 1 else stage
    if isinstance(only, list):
        return said
    written = yaml.safe_dump(only, default_flow_style=True, sort_keys=False, width=math.inf).strip()
    return f"{said}. Where it needs other options, write its stage: - {written}" if len(written) <= SHOWN else said


def _trained(name: object) -> Published | None:
    """The checkpoint file called `name`, if it has a stage."""
    file = published(name) if isinstance(name, str) and name in CHECKPOINTS else None
    return None if file is None or file.stage is None else file


PRESETS = Presets("preset", "tamis.recipes", "presets", "tamis.presets", ("title", "stage"))
