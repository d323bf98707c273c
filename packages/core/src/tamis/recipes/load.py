"""Pipelines from plain data, YAML and presets."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from reprlib import repr as short
from typing import Any

from tamis.errors import ConfigError
from tamis.parts.permissions import Allow, Permissions
from tamis.parts.plugins import normal
from tamis.parts.shelf import check_size, parse, read_text
from tamis.stage.base import STAGES, Stage
from tamis.stage.presets import PRESETS
from tamis.values.model import MODELS


def load(source: Any, *, models: Mapping[str, Any] | None = None, allow: Allow = ()) -> Stage:
    """A pipeline from whatever describes it.

    `source`: a `Stage` (returned as is), the name of a preset (see `presets()`), a path to a YAML file, or plain data:
    a list of steps, each a name (a preset's comes before a stage's) or `{name: options}`. `models` are the models the
    description calls by name, made or as data (`{"llm": {"openai": "qwen3-8b"}}`). One that it does not call is
    reported in a warning and not refused: one mapping often serves several pipelines, and adapters pass on what their
    caller has. Where all pipelines are given at once, as to `tamis eval`, it is refused.

    `allow`: what a description in data or in a file may do beyond computing; by default nothing, so that one from
    elsewhere can be loaded. `"network"` lets it send texts to any address (`"network:localhost:8000"`: to this one),
    `"environment"` read keys from environment variables, `"files"` open files and folders, `"code"` run code that comes
    with weights, `"all"` all of that. `models`, stages made in Python and the presets of installed packages need none.

    Raises `ConfigError` naming the step, the field, the value and the remedy; `NotPermitted`, one of these, names the
    permissions that are missing.

    >>> load(["lexical", {"top_n": 5}])
    Pipeline(stages=(Lexical(...), TopN(n=5)))
    """
    if models is not None and not isinstance(models, Mapping):
        raise ConfigError(f"models must map names to models, such as {{'llm': model}}, got {short(models)}")
    context = {"models": {normal(name): _made(model) for name, model in (models or {}).items()}, "used": set[str]()}
    stage = source if isinstance(source, Stage) else _built(source, context, allow)
    if idle := set(context["models"]) - set(context["used"]):
        warnings.warn(f"the pipeline does not use the models given as {', '.join(sorted(idle))}", stacklevel=2)
    return stage


def refuse_idle(models: Iterable[str], used: Iterable[str]) -> None:
    """Raise `ConfigError` for names of `models` that are given and not among those `used`."""
    known = {normal(name) for name in used}
    if idle := sorted(name for name in models if normal(name) not in known):
        raise ConfigError(
            f"no pipeline uses the models given as {', '.join(idle)}; those called by name are: "
            f"{', '.join(sorted(known)) or 'none'}. Leave them out, or give them the name that the pipeline calls"
        )


def _made(model: Any) -> Any:
    return MODELS.build(model) if isinstance(model, Mapping) else model


def _built(source: Any, context: Mapping[str, Any], allow: Allow) -> Stage:
    permissions = Permissions.of(allow)
    if isinstance(source, (str, Path)):
        source = _read(source)
    if isinstance(source, Mapping) and "stage" in source:
        source = source["stage"]
    check_size(source)
    stage: Stage = STAGES.validate(source, {**context, "allow": permissions})
    permissions.settle()
    return stage


def model_names(source: Any, allow: Allow = ()) -> tuple[str, ...]:
    """The models a pipeline calls by name, in alphabetical order: what `load` needs in `models`. `allow`: as for
    `load`.

    >>> model_names("rebel")
    ('llm',)
    """
    context = {"models": _Anything(), "used": set[str]()}
    _built(source, context, allow)
    return tuple(sorted(context["used"]))


def anonymous(source: Any) -> Stage:
    """The pipeline with models that answer nothing in place of those it calls by name."""
    return _built(source, {"models": _Anything(), "used": set[str]()}, ())


class _Anything(dict[str, Any]):
    """Has a model of every name."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Any:
        from tamis.models.cost_only import CostOnly

        return CostOnly(name)


def from_yaml(text: str, *, models: Mapping[str, Any] | None = None, allow: Allow = ()) -> Stage:
    """A pipeline from YAML text. `models` and `allow` are those of `load`."""
    return load(parse(text, "the YAML text"), models=models, allow=allow)


def presets() -> dict[str, str]:
    """Names of the ready pipelines, each with its title."""
    return {name: str(data["title"]) for name, data in PRESETS.readable()}


def _read(source: str | Path) -> Any:
    if isinstance(source, Path) or source.endswith((".yaml", ".yml")):
        path = Path(source)
        if not os.path.isfile(path):  # False too for a name that no file can have
            raise ConfigError(f"no pipeline file at {short(str(path))}")
        return parse(read_text(path), str(path))
    if source not in PRESETS:
        stage = f" The stage of that name alone is written [{source}]." if source in STAGES else ""
        raise ConfigError(f"{PRESETS.unknown(source, 'pipeline')}{stage} A path to a file must end in .yaml.")
    return PRESETS.data(source)
