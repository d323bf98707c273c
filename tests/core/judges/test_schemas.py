"""The JSON schemas that calls carry: what a server with strict output accepts, and no answer that a reader refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tamis.criteria import Criterion
from tamis.criteria.infer import infer_call
from tamis.judges import Asked, Grades
from tamis.judges.questions.answers import answers_call
from tamis.judges.questions.facets import facets_call
from tamis.judges.questions.rubric import rubric_call
from tamis.models import CostOnly
from tamis.values.calls import Generate
from tamis.values.ranking import Candidate, Query, Ranked

QUERY, TEXTS = Query("how tall is Everest?"), ["one", "two", "three"]
SHOWN = tuple(Ranked(Candidate(text), index) for index, text in enumerate(TEXTS))
CRITERIA = [Criterion("depth"), Criterion("recency", max=5)]
CALLS: dict[str, Generate] = {
    "grades": Grades(high=5).call(Asked(None, QUERY, SHOWN)),
    "rubric": rubric_call(CostOnly(), QUERY, TEXTS, CRITERIA, max_tokens=64, reasons=False),
    "rubric with reasons": rubric_call(CostOnly(), QUERY, TEXTS, CRITERIA, max_tokens=64, reasons=True),
    "answers": answers_call(CostOnly(), QUERY, TEXTS, 64),
    "facets": facets_call(CostOnly(), QUERY, TEXTS[0], 64),
    "criteria": infer_call(CostOnly(), QUERY, 0),
}
every = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
validators = pytest.importorskip("jsonschema")


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every description of an object inside `schema`."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for inner in schema.values():
            yield from objects(inner)


def valid(call: Generate, said: Any) -> bool:
    return bool(validators.Draft202012Validator(call.schema).is_valid(said))


@every
def test_every_object_is_closed_and_whole_as_strict_output_demands(call: Generate) -> None:
    found = list(objects(call.schema))
    assert found
    for described in found:
        assert described["additionalProperties"] is False
        assert described["required"] == list(described["properties"])


@every
def test_the_stand_in_of_a_dry_run_is_a_valid_answer(call: Generate) -> None:
    assert valid(call, json.loads(call.expect))


@pytest.mark.parametrize("grade", [0, 5])
def test_grades_within_the_range_are_valid(grade: int) -> None:
    assert valid(CALLS["grades"], {"1": grade, "2": 0, "3": 5})
    entries = [{"passage": n, "depth": 0, "recency": grade} for n in (1, 2, 3)]
    assert valid(CALLS["rubric"], {"passages": entries})


@pytest.mark.parametrize("said", [{"1": 6, "2": 0, "3": 0}, {"1": -1, "2": 0, "3": 0}, {"1": 0.5, "2": 0, "3": 0}, {"1": 0, "2": 0}])  # fmt: skip
def test_grades_beyond_the_range_broken_or_missing_are_not(said: Any) -> None:
    assert not valid(CALLS["grades"], said)


@pytest.mark.parametrize(
    "change", [{"passage": 0}, {"passage": 4}, {"passage": 1.5}, {"recency": 5.5}, {"depth": -0.5}, {"reason": "none"}]
)
def test_entries_of_no_passage_or_off_the_scale_are_not(change: dict[str, Any]) -> None:
    entries = [{"passage": n, "depth": 0, "recency": 0} for n in (1, 2, 3)]
    assert valid(CALLS["rubric"], {"passages": entries})
    assert not valid(CALLS["rubric"], {"passages": [{**entries[0], **change}, *entries[1:]]})
    assert not valid(CALLS["rubric"], {"passages": entries[:2]})
    assert not valid(CALLS["rubric"], {"passages": [*entries, entries[0]]})
