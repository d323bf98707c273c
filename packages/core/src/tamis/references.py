"""Field types for parts that hold other parts: each takes the object itself or the plain data that describes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema

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
    build,
    unknown,
)
from tamis.errors import ConfigError

if TYPE_CHECKING:
    from tamis.criteria.sources import Source
    from tamis.graph.edges.base import Edges
    from tamis.graph.methods.refiner import Refiner
    from tamis.judges.base import Judge
    from tamis.schedules.base import Schedule
    from tamis.stage import Stage


def stage_of(value: Any, context: Any) -> Stage:
    """A stage from itself, a name, `{name: options}` or a list of these. A preset's name stands for its steps."""
    from tamis.config import is_preset
    from tamis.stage import Pipeline, Stage, steps

    if isinstance(value, Stage):
        return value
    if isinstance(value, (list, tuple)):
        made = ((item, stage_of(item, context)) for item in value)
        return Pipeline(tuple(s for item, one in made for s in (steps(one) if isinstance(item, str) else (one,))))
    if isinstance(value, str) and is_preset(value):
        return _preset(value, context)
    stage: Stage = build(STAGES, value, context)
    return stage


def _preset(name: str, context: Any) -> Stage:
    from tamis.config import parse, preset
    from tamis.stage import steps

    stage = stage_of(parse(preset(name), name)["stage"], context)
    first, *others = steps(stage)
    return stage if others else first


def _stage(value: Any, info: ValidationInfo) -> Stage:
    return stage_of(value, info.context)


def _model(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, Mapping):
        return build(MODELS, value, info.context)
    if not isinstance(value, str):
        return value
    if info.context is None:
        raise ConfigError(
            f"{value!r} is not a model: pass a model object such as tamis.models.OpenAIChat({value!r}), "
            "or tamis.load(..., models={name: model}) where a pipeline names its models"
        )
    given = info.context["models"]
    if value in given:
        info.context["used"].add(value)
        return given[value]
    raise ConfigError(
        f"the pipeline asks for a model called {value!r} and none was given. "
        + (unknown("model name", value, given) if given else f"Pass models={{{value!r}: model}}.")
    )


def _source(value: Any, info: ValidationInfo) -> Any:
    from tamis.criteria.sources import Source

    return value if isinstance(value, Source) else build(SOURCES, value, info.context)


def _policy(value: Any, info: ValidationInfo) -> Any:
    from tamis.select.policies import Policy

    return value if isinstance(value, Policy) else build(POLICIES, value, info.context)


def _confidence(value: Any, info: ValidationInfo) -> Any:
    from tamis.select.confidence import Confidence

    return value if isinstance(value, Confidence) else build(CONFIDENCES, value, info.context)


def _fitted(value: Any, info: ValidationInfo) -> Any:
    made = isinstance(value, tuple(FITTED.resolve(name) for name in FITTED.members))
    return value if made else build(FITTED, value, info.context)


def _artefact(value: Any) -> Any:
    """An artefact from itself, the path of its file or its data."""
    from tamis.select.artefact import Artefact

    if isinstance(value, Artefact):
        return value
    if isinstance(value, (str, Path)):
        return Artefact.read(value)
    if isinstance(value, Mapping):
        return Artefact.of(value)
    raise ConfigError(f"an artefact is an Artefact, the path of its JSON file or its data, got {value!r:.80}")


def _judge(value: Any, info: ValidationInfo) -> Any:
    from tamis.judges.base import Judge

    return value if isinstance(value, Judge) else build(JUDGES, value, info.context)


def _schedule(value: Any, info: ValidationInfo) -> Any:
    from tamis.schedules.base import Schedule

    return value if isinstance(value, Schedule) else build(SCHEDULES, value, info.context)


def _edges(value: Any, info: ValidationInfo) -> Any:
    from tamis.graph.edges.base import Edges

    return value if isinstance(value, Edges) else build(EDGES, value, info.context)


def _refiner(value: Any, info: ValidationInfo) -> Any:
    from tamis.graph.methods.refiner import Refiner

    return value if isinstance(value, Refiner) else build(REFINERS, value, info.context)


PART = "x-tamis-part"
"""Marks, in a JSON schema, a place where another family's part stands; `tamis.json_schema` turns it into a `$ref`."""

if TYPE_CHECKING:
    StageRef = Stage
    ModelRef = Any
    SourceRef = Source
    JudgeRef = Judge
    ScheduleRef = Schedule
    EdgesRef = Edges
    RefinerRef = Refiner
    PolicyRef = Any
    ConfidenceRef = Any
    FittedRef = Any
    ArtefactRef = Any
else:
    StageRef = Annotated[Any, BeforeValidator(_stage), WithJsonSchema({PART: "stage"})]
    ModelRef = Annotated[Any, BeforeValidator(_model), WithJsonSchema({PART: "model"})]
    SourceRef = Annotated[Any, BeforeValidator(_source), WithJsonSchema({PART: "source"})]
    JudgeRef = Annotated[Any, BeforeValidator(_judge), WithJsonSchema({PART: "judge"})]
    ScheduleRef = Annotated[Any, BeforeValidator(_schedule), WithJsonSchema({PART: "schedule"})]
    EdgesRef = Annotated[Any, BeforeValidator(_edges), WithJsonSchema({PART: "edges"})]
    RefinerRef = Annotated[Any, BeforeValidator(_refiner), WithJsonSchema({PART: "refiner"})]
    PolicyRef = Annotated[Any, BeforeValidator(_policy), WithJsonSchema({PART: "policy"})]
    ConfidenceRef = Annotated[Any, BeforeValidator(_confidence), WithJsonSchema({PART: "confidence"})]
    FittedRef = Annotated[Any, BeforeValidator(_fitted), WithJsonSchema({PART: "fitted"})]
    ArtefactRef = Annotated[Any, BeforeValidator(_artefact), WithJsonSchema({PART: "artefact"})]
