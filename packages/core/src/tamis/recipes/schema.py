"""The JSON schema of pipelines, for editors and validators."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from tamis.criteria.criterion import STANDARD, Criterion
from tamis.criteria.sources import SOURCES
from tamis.graph.edges.base import EDGES
from tamis.graph.methods.refiner import REFINERS
from tamis.judges.base import JUDGES
from tamis.parts.family import REFERENCE, Family
from tamis.parts.plugins import normal
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
    """A JSON schema of every pipeline that can be written as data, parts of other installed packages included.

    A part or preset of another package that cannot be described is left out, with a warning that names the package."""
    definitions: dict[str, Any] = {}
    for family in FAMILIES:
        key, choices = family.key, []
        bare = set(PRESETS.names()) if family is STAGES else set()
        for name, cls in family.usable():
            if (schema := _described(family, name, cls)) is None:
                continue
            definitions |= {f"{key}.{name}.{inner}": own for inner, own in schema.pop("$defs", {}).items()}
            definitions[f"{key}.{name}"] = {**schema, "additionalProperties": False}
            choices.append(_named(key, name, schema))
            bare |= set() if schema.get("required") else {name}
        bare |= {name.replace("_", "-") for name in bare} | {normal(name) for name in bare}
        definitions[key] = {"anyOf": [{"type": "string"} if family is MODELS else {"enum": sorted(bare)}, *choices]}
    definitions["stage"]["anyOf"].append({"type": "array", "items": {"$ref": "#/$defs/stage"}})
    sources = definitions["source"]["anyOf"][1:]
    definitions["criterion"] = {"anyOf": [{"enum": list(STANDARD)}, TypeAdapter(Criterion).json_schema(), *sources]}
    definitions["artefact"] = {"anyOf": [{"type": "string"}, TypeAdapter(Artefact).json_schema()]}
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": definitions, "$ref": "#/$defs/stage"}
    return _with_references(whole)


def _described(family: Family, name: str, cls: type) -> dict[str, Any] | None:
    """The schema of a member, the values it holds under names of their own; `None` for another package's that has
    none."""
    try:
        return family.adapter(cls).json_schema(ref_template=f"#/$defs/{family.key}.{name}.{{model}}")
    except Exception as error:  # Another package's class may have any fault.
        if (package := family.package_of(cls)) is None:
            raise
        warnings.warn(f"left out the {family.kind} {name!r} of {package}: {error}", stacklevel=3)
        return None


def _named(key: str, name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """`{name: options}`, or `{name: value of the first field}` with the other fields beside it."""
    own = dict(schema.get("properties", {}))
    short = [{"allOf": [{"not": {"type": "object"}}, next(iter(own.values()))]}] if own else []
    nothing = [] if schema.get("required") else [{"type": "null"}]
    options = {"anyOf": [{"$ref": f"#/$defs/{key}.{name}"}, *nothing, *short]}
    spellings = dict.fromkeys((name, name.replace("_", "-")))
    return {
        "type": "object",
        "properties": {**own, **dict.fromkeys(spellings, options)},
        "oneOf": [{"required": [spelling]} for spelling in spellings],
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
