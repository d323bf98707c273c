"""Pipelines to and from plain data, YAML and presets."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamis.catalog import (
    CONFIDENCES,
    EDGES,
    FITTED,
    JUDGES,
    MODELS,
    POLICIES,
    REFINERS,
    SCHEDULES,
    SOURCES,
    STAGES,
    Family,
    build,
    unknown,
)
from tamis.errors import ConfigError
from tamis.references import PART, stage_of

if TYPE_CHECKING:
    from tamis.stage import Stage

FAMILIES = {
    "stage": STAGES,
    "model": MODELS,
    "source": SOURCES,
    "policy": POLICIES,
    "fitted": FITTED,
    "confidence": CONFIDENCES,
    "judge": JUDGES,
    "schedule": SCHEDULES,
    "edges": EDGES,
    "refiner": REFINERS,
}
"""By the word that a JSON schema and `tamis.references` use."""


def load(source: Any, *, models: Mapping[str, Any] | None = None) -> Stage:
    """A pipeline from whatever describes it.

    `source`: a `Stage` (returned as is), the name of a preset (see `presets()`), a path to a YAML file, or plain data:
    a list of steps, each a name (a preset's comes before a stage's) or `{name: options}`. `models` are the models the
    description calls by name, made or as data (`{"llm": {"openai": "qwen3-8b"}}`). Raises `ConfigError` naming the
    step, the field, the value and the remedy.

    >>> load(["lexical", {"top_n": 5}])
    Pipeline(stages=(Lexical(...), TopN(n=5)))
    """
    from tamis.stage import Stage

    context = {"models": {name: _made(model) for name, model in (models or {}).items()}, "used": set[str]()}
    stage = source if isinstance(source, Stage) else _built(source, context)
    if idle := set(context["models"]) - set(context["used"]):
        warnings.warn(f"the pipeline does not use the models given as {', '.join(sorted(idle))}", stacklevel=2)
    return stage


def _made(model: Any) -> Any:
    return build(MODELS, model) if isinstance(model, Mapping) else model


def _built(source: Any, context: Mapping[str, Any]) -> Stage:
    if isinstance(source, (str, Path)):
        source = _read(source)
    if isinstance(source, Mapping) and "stage" in source:
        source = source["stage"]
    return stage_of(source, context)


def model_names(source: Any) -> tuple[str, ...]:
    """The models a pipeline calls by name, in alphabetical order: what `load` needs in `models`.

    >>> model_names("rebel")
    ('llm',)
    """
    context = {"models": _Anything(), "used": set[str]()}
    _built(source, context)
    return tuple(sorted(context["used"]))


class _Anything(dict[str, Any]):
    """Has a model of every name."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Any:
        from tamis.models.cost_only import CostOnly

        return CostOnly(name)


def from_yaml(text: str, *, models: Mapping[str, Any] | None = None) -> Stage:
    """A pipeline from YAML text."""
    return load(parse(text, "the YAML text"), models=models)


def presets() -> dict[str, str]:
    """Names of the ready pipelines, each with its title."""
    return {name: parse(_text(path), path.name)["title"] for name, path in _by_name().items()}


def is_preset(name: str) -> bool:
    return name in _by_name()


def preset(name: str) -> str:
    """The YAML of a ready pipeline, as it is shipped. `ConfigError` for an unknown name."""
    files = _by_name()
    if name not in files:
        raise ConfigError(unknown("preset", name, files))
    return _text(files[name])


def dump(value: Any) -> Any:
    """Plain data for a stage or one of its parts; fields at their default are left out."""
    from tamis.stage import Pipeline

    if isinstance(value, Pipeline):
        return [dump(stage) for stage in value.stages]
    for family in FAMILIES.values():
        if name := family.name_of(type(value)):
            return {name: _fields(value)}
    if is_dataclass(value) and not isinstance(value, type) and type(value).__module__.startswith("tamis."):
        return _fields(value)
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
        "name (such as `model: llm`) and give the model when loading it."
    )


def to_yaml(data: Any) -> str:
    import yaml

    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def json_schema() -> dict[str, Any]:
    """A JSON schema of every pipeline that can be written as data, for editors and validators."""
    from pydantic import TypeAdapter

    from tamis.criteria.criterion import STANDARD, Criterion
    from tamis.select.artefact import Artefact

    definitions: dict[str, Any] = {}
    for key, family in FAMILIES.items():
        choices = []
        for name in family.members:
            schema = TypeAdapter(family.resolve(name)).json_schema()
            definitions.update(schema.pop("$defs", {}))
            definitions[f"{key}.{name}"] = {**schema, "additionalProperties": False}
            choices.append(_named(key, name, schema))
        bare = [name for name in family.members if not definitions[f"{key}.{name}"].get("required")]
        bare = sorted({*bare, *_by_name()}) if key == "stage" else bare
        definitions[key] = {"anyOf": [{"type": "string"} if key == "model" else {"enum": bare}, *choices]}
    definitions["stage"]["anyOf"].append({"type": "array", "items": {"$ref": "#/$defs/stage"}})
    sources = definitions["source"]["anyOf"][1:]
    definitions["criterion"] = {"anyOf": [{"enum": list(STANDARD)}, TypeAdapter(Criterion).json_schema(), *sources]}
    definitions["artefact"] = {"anyOf": [{"type": "string"}, TypeAdapter(Artefact).json_schema()]}
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": definitions, "$ref": "#/$defs/stage"}
    return _with_references(whole)


def _named(key: str, name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """`{name: options}`, or `{name: value of the first field}` with the other fields beside it."""
    own = dict(schema.get("properties", {}))
    short = [{"allOf": [{"not": {"type": "object"}}, next(iter(own.values()))]}] if own else []
    nothing = [] if schema.get("required") else [{"type": "null"}]
    options = {"anyOf": [{"$ref": f"#/$defs/{key}.{name}"}, *nothing, *short]}
    return {
        "type": "object",
        "properties": {**own, name: options},
        "required": [name],
        "additionalProperties": False,
    }


def _with_references(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_references(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if PART in schema:
        rest = {key: value for key, value in schema.items() if key not in (PART, "default")}
        return {**rest, "$ref": f"#/$defs/{schema[PART]}"}
    return {key: _with_references(value) for key, value in schema.items()}


def _fields(value: Any) -> dict[str, Any]:
    return {
        f.name: dump(getattr(value, f.name)) for f in fields(value) if f.repr and getattr(value, f.name) != _default(f)
    }


def _default(f: Any) -> Any:
    return f.default if f.default is not MISSING else f.default_factory() if f.default_factory is not MISSING else f


def _read(source: str | Path) -> Any:
    if isinstance(source, Path) or source.endswith((".yaml", ".yml")):
        path = Path(source)
        if not path.is_file():
            raise ConfigError(f"no pipeline file at {str(path)!r}")
        return parse(_text(path), str(path))
    if source not in _by_name():
        raise ConfigError(unknown("pipeline", source, _by_name()) + " A path to a file must end in .yaml.")
    return parse(preset(source), source)


def _text(path: Any) -> str:
    try:
        text: str = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}") from None
    return text


def _by_name() -> dict[str, Any]:
    folder = resources.files("tamis") / "presets"
    found = {path.name.removesuffix(".yaml"): path for path in folder.iterdir() if path.name.endswith(".yaml")}
    return dict(sorted(found.items()))


def parse(text: str, where: str) -> Any:
    """Plain data from YAML. `ConfigError` naming `where` it stands when it is none."""
    import yaml

    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {error}") from error
    if data is None:
        raise ConfigError(f"{where} is empty; it must describe a pipeline")
    return data


__all__ = ["Family", "dump", "from_yaml", "json_schema", "load", "presets", "to_yaml"]
