"""No field of any part takes a number that no formula can use."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from pydantic import TypeAdapter, ValidationError

import tamis
from tamis.errors import ConfigError
from tamis.judges import Permutation, Thinking
from tamis.judges.base import Asked
from tamis.models import CostOnly
from tamis.parts import numbers
from tamis.parts.family import Family
from tamis.recipes.schema import FAMILIES
from tamis.values.ranking import Candidate, Query, Ranked

UNUSABLE = (math.nan, math.inf, -math.inf)


def floats(hint: Any) -> Iterator[Any]:
    """The types of single numbers in a field's type."""
    if hint is float or (get_origin(hint) is Annotated and get_args(hint)[0] is float):
        yield hint
    else:
        for inner in get_args(hint):
            yield from floats(inner)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.kind)
def test_no_field_takes_nan_or_infinity(family: Family) -> None:
    for cls in filter(is_dataclass, map(family.resolve, family.members)):
        for field, hint in get_type_hints(cls, include_extras=True).items():
            for number in floats(hint):
                for value in UNUSABLE:
                    with pytest.raises(ValidationError):
                        assert TypeAdapter(number).validate_python(value) is None, f"{cls.__name__}.{field}"


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("Positive", (1e-9, 5.0), (0.0, -1.0)),
        ("NonNegative", (0.0, 5.0), (-1e-9,)),
        ("Share", (0.0, 0.5, 1.0), (-0.1, 1.1)),
        ("ShareAboveZero", (0.1, 1.0), (0.0, 1.1)),
        ("ShareBelowOne", (0.0, 0.9), (-0.1, 1.0)),
        ("ShareBetween", (0.1, 0.9), (0.0, 1.0)),
        ("TwoOrMore", (2, 9), (1, 2.5)),
    ],
)
def test_a_range_takes_what_its_name_says(name: str, taken: tuple[float, ...], refused: tuple[float, ...]) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(getattr(numbers, name))
    assert [adapter.validate_python(value) for value in taken] == list(taken)
    for value in (*refused, *UNUSABLE):
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


HUGE = {
    "a budget": ("listwise", {"thinking": {"judge": "permutation", "budget": 700_000_000}}),
    "expected thoughts": ("listwise", {"thinking": {"judge": "permutation", "expected": 700_000_000}}),
    "samples": ("listwise", {"thinking": {"judge": "permutation", "samples": 30_000_000, "temperature": 1.0}}),
    "samples of a budget": (
        "listwise",
        {"thinking": {"judge": "permutation", "budget": 100_000, "samples": 1_000, "temperature": 1.0}},
    ),
    "reasons": ("groupwise", {"grades": {"reason_tokens": 700_000_000}}),
}


@pytest.mark.parametrize(("stage", "judge"), HUGE.values(), ids=HUGE)
def test_a_small_pipeline_cannot_ask_for_texts_of_any_size(stage: str, judge: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"less than or equal to|more than"):
        tamis.load([{stage: {"model": "llm", "judge": judge}}], models={"llm": CostOnly()})


def test_samples_share_the_text_that_sizes_a_dry_run() -> None:
    judge = Thinking(Permutation(), budget=131_072)
    asked = Asked(CostOnly(), Query("q"), tuple(Ranked(Candidate(text), place) for place, text in enumerate("ab")))
    first, second = (next(judge.ask(asked))[0].expect for _ in range(2))
    assert first is second
