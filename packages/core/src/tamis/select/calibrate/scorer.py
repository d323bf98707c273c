"""Which stages made the scores: a name that calibration is bound to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from hashlib import blake2b
from typing import Any

from tamis.errors import ConfigError
from tamis.parts.dump import changed, plain
from tamis.parts.family import name_of
from tamis.parts.options import NOT_GIVEN, usual
from tamis.stage.base import STAGES, Selection, Stage, flattened
from tamis.values.model import capabilities

UNSCORED = "incoming"
"""The scorer of a ranking that no stage has scored: whatever the retriever gave."""
FIRST_NAMES = {"Likelihood": "QueryLikelihood", "Knockout": "Tournament"}
"""What the first version called classes that have another name now."""
Describe = Callable[[Any], tuple[str, Mapping[str, Any]]]
"""What a part is called, and the settings that tell it from others of its class."""


def scorer_id(stage: Stage | Sequence[Stage]) -> str:
    """Names the scorer a pipeline is: equal for equal stages, settings, model names and model scales, and no others.

    Stages at the end that only choose among candidates do not change scores and do not count. Settings at their default
    do not count either, as in a pipeline file: a new version may add an optional one without voiding what was fitted.

    >>> from tamis import Lexical, TopN
    >>> scorer_id(Lexical() | TopN(5)) == scorer_id(Lexical())
    True
    >>> scorer_id(Lexical())
    'lexical #...'
    """
    return _id(scoring(stage), _settings)


def first_id(stage: Stage | Sequence[Stage]) -> str:
    """The scorer as the first version named it, with every setting, so that what was fitted then still loads."""
    return _id(scoring(stage), _every_setting)


def scoring(stage: Stage | Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages of a pipeline up to the last one that may change scores."""
    stages = [step for one in ([stage] if isinstance(stage, Stage) else stage) for step in flattened(one)]
    while stages and isinstance(stages[-1], Selection):
        stages.pop()
    return tuple(stages)


def _id(stages: Sequence[Stage], described: Describe) -> str:
    if not stages:
        return UNSCORED
    data = json.dumps([_plain(step, described) for step in stages], sort_keys=True)
    return f"{' | '.join(map(_name, stages))} #{blake2b(data.encode(), digest_size=6).hexdigest()}"


def _settings(part: Any) -> tuple[str, Mapping[str, Any]]:
    return name_of(type(part)) or type(part).__name__, changed(part)


def _every_setting(part: Any) -> tuple[str, Mapping[str, Any]]:
    name = type(part).__name__
    settings = {f.name: getattr(part, f.name) for f in fields(part) if f.repr}
    unused = {n: value for n, value in usual(type(part)).items() if settings[n] is NOT_GIVEN}
    return FIRST_NAMES.get(name, name), {**settings, **unused}


def _name(stage: Stage) -> str:
    """The stage as in a pipeline file, with the names of its models."""
    name = STAGES.name_of(type(stage)) or type(stage).__name__
    models = [model for f in fields(stage) if (model := _model_name(getattr(stage, f.name)))]  # type: ignore[arg-type]
    return f"{name}({', '.join(models)})" if models else name


def _model_name(value: Any) -> str | None:
    if isinstance(value, (Stage, str, type)) or value is None or not capabilities(value):
        return None
    return str(getattr(value, "name", type(value).__name__))


def _plain(value: Any, described: Describe) -> Any:
    if (name := _model_name(value)) is not None:
        return {"model": name, "scale": getattr(getattr(value, "scale", None), "kind", None)}
    if is_dataclass(value) and not isinstance(value, type):
        name, settings = described(value)
        return {name: _plain(settings, described)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item, described) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=repr)
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return [_plain(item, described) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if (name := getattr(value, "__qualname__", None)) or hasattr(value, "isoformat"):
        return str(name or value)
    try:
        return plain(value)
    except ConfigError:
        return type(value).__name__
