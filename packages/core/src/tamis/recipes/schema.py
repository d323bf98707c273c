"""The JSON schema of pipelines, for editors and validators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from tamis.criteria.criterion import STANDARD, Criterion
from tamis.criteria.sources import SOURCES
from tamis.graph.edges.base import EDGES
from tamis.graph.methods.refiner import REFINERS
from tamis.judges.base import JUDGES
from tamis.parts.family import REFERENCE, Family
from tamis.schedules.base import SCHEDULES
from tamis.select.calibrate.artefact import FITTED, Artefact
from tamis.select.calibrate.confidence import CONFIDENCES
from tamis.select.policies.base import POLICIES
from tamis.stage.base import STAGES
from tamis.stage.presets import PRESETS
from tamis.values.model import MODELS

FAMILIES: tuple[Family, ...] = (
    STAGES,
    MODELS,
    SOURCES,
    POLICIES,
    FITTED,
    CONFIDENCES,
    JUDGES,
    SCHEDULES,
    EDGES,
    REFINERS,
)
"""Those whose members occur in pipelines."""


def json_schema() -> dict[str, Any]:
    """A JSON schema of every pipeline that can be written as data, parts of other installed packages included."""
    definitions: dict[str, Any] = {}
    for family in FAMILIES:
        key, choices = family.key, []
        for name in family.members:
            schema = family.adapter(family.resolve(name)).json_schema()
            definitions.update(schema.pop("$defs", {}))
            definitions[f"{key}.{name}"] = {**schema, "additionalProperties": False}
            choices.append(_named(key, name, schema))
        bare = [name for name in family.members if not definitions[f"{key}.{name}"].get("required")]
        bare = sorted({*bare, *PRESETS.names()}) if family is STAGES else bare
        definitions[key] = {"anyOf": [{"type": "string"} if family is MODELS else {"enum": bare}, *choices]}
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
    if REFERENCE in schema:
        rest = {key: value for key, value in schema.items() if key not in (REFERENCE, "default")}
        return {**rest, "$ref": f"#/$defs/{schema[REFERENCE]}"}
    return {key: _with_references(value) for key, value in schema.items()}
