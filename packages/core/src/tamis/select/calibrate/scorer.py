"""Which stages made the scores: a name that calibration is bound to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from hashlib import blake2b
from typing import Any

from tamis.stage.base import STAGES, Selection, Stage, flattened
from tamis.values.model import capabilities

UNSCORED = "incoming"
"""The scorer of a ranking that no stage has scored: whatever the retriever gave."""


def scorer_id(stage: Stage | Sequence[Stage]) -> str:
    """Names the scorer a pipeline is: equal for equal stages, settings, model names and model scales, and no others.

    Stages at the end that only choose among candidates do not change scores and do not count.

    >>> from tamis import Lexical, TopN
    >>> scorer_id(Lexical() | TopN(5)) == scorer_id(Lexical())
    True
    >>> scorer_id(Lexical())
    'lexical #...'
    """
    stages = scoring(stage)
    if not stages:
        return UNSCORED
    data = json.dumps([_plain(step) for step in stages], sort_keys=True)
    return f"{' | '.join(map(_name, stages))} #{blake2b(data.encode(), digest_size=6).hexdigest()}"


def scoring(stage: Stage | Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages of a pipeline up to the last one that may change scores."""
    stages = [step for one in ([stage] if isinstance(stage, Stage) else stage) for step in flattened(one)]
    while stages and isinstance(stages[-1], Selection):
        stages.pop()
    return tuple(stages)


def _name(stage: Stage) -> str:
    """The stage as in a pipeline file, with the names of its models."""
    name = STAGES.name_of(type(stage)) or type(stage).__name__
    models = [model for f in fields(stage) if (model := _model_name(getattr(stage, f.name)))]  # type: ignore[arg-type]
    return f"{name}({', '.join(models)})" if models else name


def _model_name(value: Any) -> str | None:
    if isinstance(value, (Stage, str, type)) or value is None or not capabilities(value):
        return None
    return str(getattr(value, "name", type(value).__name__))


def _plain(value: Any) -> Any:
    if (name := _model_name(value)) is not None:
        return {"model": name, "scale": getattr(getattr(value, "scale", None), "kind", None)}
    if is_dataclass(value) and not isinstance(value, type):
        return {type(value).__name__: {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.repr}}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(getattr(value, "__qualname__", None) or (value if hasattr(value, "isoformat") else type(value).__name__))
