"""A criterion is a value: what to look at, how much it counts, on which range, and which source scores it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo, WithJsonSchema

from tamis.criteria.sources import SOURCES, Rubric, Source, SourceRef
from tamis.errors import ConfigError
from tamis.parts.family import REFERENCE
from tamis.parts.numbers import NonNegative, Positive
from tamis.parts.part import part, unknown


@part
class Criterion:
    """One thing a good passage has. Scored 0..`max` by `source`; counts `weight` times in a composite.

    `description` is shown to the LLM in a rubric. The default source is that rubric.

    >>> Criterion("recency", weight=1.0, source=Recency("published", half_life_days=365))  # doctest: +SKIP
    """

    name: Annotated[str, Field(min_length=1, max_length=80)]
    description: str = ""
    weight: NonNegative = 0.5
    max: Positive = 5.0
    source: SourceRef = Rubric()


RELEVANCE = Criterion(
    "relevance",
    "how directly and fully the passage answers or helps to answer the query; 0 is off topic, the top is a full answer",
    weight=1.0,
    max=10.0,
)

STANDARD: Mapping[str, Criterion] = {
    criterion.name: criterion
    for criterion in (
        Criterion("depth", "how thoroughly the passage treats its subject: detail, not a passing mention"),
        Criterion("diversity", "whether the passage shows more than one viewpoint, aspect or source of evidence"),
        Criterion("clarity", "whether the passage is specific, well organised and easy to understand"),
        Criterion("authoritativeness", "whether the passage comes from, or rests on, a reliable source"),
        Criterion("recency", "how up to date the passage is, as far as the query cares about time"),
    )
}
"""The five criteria of one-turn REBEL (LeVine and Varjavand, 2025), in our words."""


def criterion(value: Any, info: ValidationInfo) -> Any:
    """From a `Criterion`, a `Source`, the name of a standard criterion, `{source: options}` or a mapping of the
    fields."""
    if isinstance(value, Source):
        return Criterion(SOURCES.name_of(type(value)) or type(value).__name__.lower(), source=value)
    if isinstance(value, str):
        if value not in STANDARD:
            hint = f" To use the source of that name write {{{value}: {{}}}}." if value in SOURCES else ""
            if value == RELEVANCE.name:
                hint = " Relevance is always a criterion: by default the incoming order; `relevance:` sets it."
            raise ConfigError(unknown("criterion", value, STANDARD) + hint)
        return STANDARD[value]
    if isinstance(value, Mapping) and "name" not in value and len(value) == 1:
        (name,) = value
        return Criterion(name, source=SOURCES.build(value, info.context))
    return value


if TYPE_CHECKING:
    CriterionRef = Criterion
    Criteria = Sequence[Criterion | Source | str | Mapping[str, Any]] | Literal["infer"]
else:
    CriterionRef = Annotated[Criterion, BeforeValidator(criterion), WithJsonSchema({REFERENCE: "criterion"})]
    Criteria = Annotated[
        Annotated[tuple[CriterionRef, ...], Tag("list")] | Annotated[Literal["infer"], Tag("word")],
        Discriminator(lambda value: "word" if isinstance(value, str) else "list"),
    ]
