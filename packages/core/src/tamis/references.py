"""Field types for parts that hold other parts: each takes the object itself or the plain data that describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema

from tamis.catalog import MODELS, SOURCES, STAGES, build, unknown
from tamis.errors import ConfigError

if TYPE_CHECKING:
    from tamis.criteria.sources import Source
    from tamis.stage import Stage


def stage_of(value: Any, context: Any) -> Stage:
    """A stage from itself, a name, `{name: options}` or a list of these."""
    from tamis.stage import Pipeline, Stage

    if isinstance(value, Stage):
        return value
    if isinstance(value, (list, tuple)):
        return Pipeline(tuple(stage_of(item, context) for item in value))
    made: Stage = build(STAGES, value, context)
    return made


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


PART = "x-tamis-part"
"""Marks, in a JSON schema, a place where another family's part stands; `tamis.json_schema` turns it into a `$ref`."""

if TYPE_CHECKING:
    StageRef = Stage
    ModelRef = Any
    SourceRef = Source
else:
    StageRef = Annotated[Any, BeforeValidator(_stage), WithJsonSchema({PART: "stage"})]
    ModelRef = Annotated[Any, BeforeValidator(_model), WithJsonSchema({PART: "model"})]
    SourceRef = Annotated[Any, BeforeValidator(_source), WithJsonSchema({PART: "source"})]
