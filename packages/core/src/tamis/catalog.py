"""The names of everything that can be written as data, and where each lives. Imported only when used."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any

from tamis.errors import ConfigError


@dataclass(frozen=True)
class Family:
    """One kind of named part: `members` maps a name to "module:Class"."""

    kind: str
    members: Mapping[str, str]

    def resolve(self, name: str) -> type:
        """The class called `name`. `ConfigError` with suggestions for an unknown name."""
        if name not in self.members:
            raise ConfigError(unknown(self.kind, name, self.members))
        module, _, attribute = self.members[name].partition(":")
        return getattr(import_module(module), attribute)

    def name_of(self, cls: type) -> str | None:
        place = f"{cls.__module__}:{cls.__qualname__}"
        return next((name for name, where in self.members.items() if where == place), None)


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """A message for a name nobody knows, with the nearest one."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"unknown {kind} {name!r}. {hint}Known: {', '.join(known) or 'none'}."


def first_field(cls: type) -> str:
    return fields(cls)[0].name


STAGES = Family(
    "stage",
    {
        "pipeline": "tamis.stage:Pipeline",
        "fuse": "tamis.rankers.fuse:Fuse",
        "first_stage": "tamis.rankers.first_stage:FirstStage",
        "lexical": "tamis.rankers.lexical:Lexical",
        "cross_encoder": "tamis.rankers.cross_encoder:CrossEncoder",
        "embedding": "tamis.rankers.embedding:Embedding",
        "pointwise": "tamis.rankers.pointwise:Pointwise",
        "listwise": "tamis.rankers.listwise:Listwise",
        "multi_criteria": "tamis.criteria.multi_criteria:MultiCriteria",
        "rebel": "tamis.criteria.rebel:Rebel",
        "top_n": "tamis.select.cut:TopN",
        "threshold": "tamis.select.cut:Threshold",
        "deduplicate": "tamis.select.cut:Deduplicate",
    },
)

MODELS = Family(
    "model",
    {
        "openai": "tamis.models.openai_chat:OpenAIChat",
        "causal_lm": "tamis.models.causal_lm:CausalLM",
        "transformers_cross_encoder": "tamis.models.transformers_encoders:TransformersCrossEncoder",
        "sentence_transformer": "tamis.models.transformers_encoders:SentenceTransformerEmbedder",
        "onnx_cross_encoder": "tamis.models.onnx:OnnxCrossEncoder",
        "onnx_embedder": "tamis.models.onnx:OnnxEmbedder",
        "cost_only": "tamis.models.cost_only:CostOnly",
    },
)

SOURCES = Family(
    "criterion source",
    {
        "rubric": "tamis.criteria.sources:Rubric",
        "incoming": "tamis.criteria.sources:Incoming",
        "ranker": "tamis.criteria.sources:Ranker",
        "recency": "tamis.criteria.metadata:Recency",
        "authority": "tamis.criteria.metadata:Authority",
        "field": "tamis.criteria.metadata:Field",
        "depth": "tamis.criteria.features:Depth",
        "clarity": "tamis.criteria.features:Clarity",
        "coverage": "tamis.criteria.features:Coverage",
        "diversity": "tamis.criteria.diversity:Diversity",
    },
)


def build(family: Family, value: Any, context: Any = None) -> Any:
    """Make the part that `value` describes: `"name"`, `{name: {field: value}}` or `{name: first_field, field: value}`.

    Raises `ConfigError` naming the part, the field and the value.
    """
    from pydantic import TypeAdapter, ValidationError

    if isinstance(value, str):
        value = {value: None}
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(f"a {family.kind} is written as a name or as {{name: options}}, got {value!r}")
    (name, options), *rest = value.items()
    cls = family.resolve(name)
    if options is None:
        options = {}
    elif not isinstance(options, Mapping):
        if not fields(cls):
            raise ConfigError(f"{family.kind} {name!r} takes no options, got {options!r}")
        options = {first_field(cls): options}
    try:
        return TypeAdapter(cls).validate_python({**options, **dict(rest)}, context=context)
    except ValidationError as error:
        raise ConfigError(explain(f"{family.kind} {name!r}", error)) from error


def explain(what: str, error: Any) -> str:
    """A pydantic `ValidationError` as one line a user can act on."""
    problems = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"])
        got = "" if item["type"] in ("missing", "value_error") else f" (got {item['input']!r:.80})"
        message = item["msg"].removeprefix("Value error, ").removeprefix(f"{what}: ")
        problems.append(f"{where}: {message}{got}" if where else f"{message}{got}")
    return f"{what}: " + "; ".join(problems)
