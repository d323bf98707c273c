"""A batch of candidates, several criteria, one structured call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tamis.prompts.parsing import index, json_objects, nested, number, relevance_lines, within
from tamis.prompts.prompting import DATA_ONLY, chat, fitting, passage_blocks, query_block
from tamis.values.answers import Generated
from tamis.values.calls import Generate
from tamis.values.ranking import Query

SYSTEM = f"You grade passages for a retrieval system. {DATA_ONLY}"
OVERHEAD = 350
REASON_TOKENS = 40
REASON = "a dozen words that say what the passage has and lacks for this query"


class Graded(Protocol):
    """What the judge needs to know of a criterion."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def max(self) -> float: ...


def keys(criteria: Sequence[Graded]) -> list[str]:
    """A short distinct JSON key for each criterion.

    >>> from tamis.criteria import Criterion
    >>> keys([Criterion("Technical accuracy"), Criterion("technical-accuracy")])
    ['technical_accuracy', 'technical_accuracy_2']
    """
    found: list[str] = []
    for criterion in criteria:
        base = re.sub(r"\W+", "_", criterion.name.strip().lower()).strip("_") or "criterion"
        base = f"{base}_grade" if base in ("passage", "reason") else base
        numbered = (f"{base}_{number}" for number in range(2, len(found) + 3))
        found.append(next(key for key in (base, *numbered) if key not in found))
    return found


def rubric_call(
    model: Any,
    query: Query,
    texts: Sequence[str],
    criteria: Sequence[Graded],
    *,
    max_tokens: int,
    reasons: bool,
    attempt: int = 0,
) -> Generate:
    """Ask for a grade on every criterion for every one of `texts`, as JSON."""
    names, count = keys(criteria), len(texts)
    per_passage = 14 + sum(6 + len(name) // 3 for name in names) + (REASON_TOKENS if reasons else 0)
    answer_tokens = 48 + count * per_passage * 3 // 2
    rubric = "\n".join(
        f"- {name} (0 to {criterion.max:g}): {criterion.description or criterion.name}"
        for name, criterion in zip(names, criteria, strict=True)
    )
    entry: dict[str, Any] = {"passage": 1, **{name: round(c.max / 2) for name, c in zip(names, criteria, strict=True)}}
    if reasons:
        entry["reason"] = REASON
    reserved = OVERHEAD + answer_tokens + (len(rubric) + len(query.text)) // 3
    user = "\n\n".join(
        [
            query_block(query.text, query.instruction),
            passage_blocks(texts, model, fitting(model, count, max_tokens, reserved)),
            f"Grade each of the {count} passages above for the query on each criterion, "
            f"independently of the others:\n{rubric}",
            f'Answer with JSON only, in the form {{"passages": [{_form(names, criteria, reasons)}]}}, '
            f"one entry for each passage from 1 to {count}.",
        ]
    )
    expect = json.dumps({"passages": [{**entry, "passage": n} for n in range(1, count + 1)]})
    schema = _schema(names, criteria, count, reasons)

    def usable(answer: Generated) -> bool:
        return bool(parse_rubric(answer.text, criteria, count))

    return Generate(
        model,
        chat(SYSTEM, user),
        max_tokens=answer_tokens,
        schema=schema,
        expect=expect,
        attempt=attempt,
        usable=usable,
    )


def _form(names: Sequence[str], criteria: Sequence[Graded], reasons: bool) -> str:
    """An entry with ranges where grades belong: small models copy an example's grades to every passage."""
    parts = ['"passage": <number>']
    parts += [f'"{name}": <0 to {criterion.max:g}>' for name, criterion in zip(names, criteria, strict=True)]
    return "{" + ", ".join([*parts, f'"reason": "<{REASON}>"'] if reasons else parts) + "}"


def _schema(names: Sequence[str], criteria: Sequence[Graded], count: int, reasons: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {"passage": {"type": "integer", "minimum": 1, "maximum": count}}
    for name, criterion in zip(names, criteria, strict=True):
        properties[name] = {"type": "number", "minimum": 0, "maximum": criterion.max}
    if reasons:
        properties["reason"] = {"type": "string"}
    entry = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    passages = {"type": "array", "items": entry, "minItems": count, "maxItems": count}
    return {
        "type": "object",
        "properties": {"passages": passages},
        "required": ["passages"],
        "additionalProperties": False,
    }


Grades = Mapping[str, float]


def parse_rubric(text: str, criteria: Sequence[Graded], count: int) -> dict[int, tuple[Grades, str | None]]:
    """What a model said of each passage: 0-based index to grades by criterion name (in their ranges) and a reason.

    Takes JSON in any wrapping, whole or cut short, grades as numbers or text, flat or under `scores`; failing that,
    lines `Doc: 2, Relevance: 7`. Unknown passage numbers are ignored, of repeated ones the first counts; of several
    answers the last that grades all. Grades off the range of a criterion keep their order (`within`). A criterion
    without a grade is left out. Never raises.
    """
    names = dict(zip(keys(criteria), criteria, strict=True))
    found: dict[int, tuple[Grades, str | None]] = {}
    for outer in json_objects(text):
        said = _said(outer, names, count)
        found = said if len(said) == count else {**said, **found}
    if not found and criteria:
        found = {place - 1: ({criteria[0].name: score}, None) for place, score in relevance_lines(text, count)}
    return _in_range(found, criteria)


def _said(outer: Mapping[str, Any], names: Mapping[str, Graded], count: int) -> dict[int, tuple[Grades, str | None]]:
    found: dict[int, tuple[Grades, str | None]] = {}
    for entry in nested(outer):
        place = index(_first(entry, ("passage", "doc", "document", "number", "id")), count)
        grades = {} if place is None or place in found else _grades(entry, names)
        if place is not None and grades:
            reason = entry.get("reason")
            found[place] = (grades, reason.strip() or None if isinstance(reason, str) else None)
    return found


def _in_range(
    found: Mapping[int, tuple[Grades, str | None]], criteria: Sequence[Graded]
) -> dict[int, tuple[Grades, str | None]]:
    """The same with every grade in the range of its criterion, and none that differed made alike."""
    fitted: dict[int, dict[str, float]] = {place: {} for place in found}
    for criterion in criteria:
        places = [place for place, (grades, _) in found.items() if criterion.name in grades]
        grades = within([found[place][0][criterion.name] for place in places], 0.0, criterion.max)
        for place, grade in zip(places, grades, strict=True):
            fitted[place][criterion.name] = grade
    return {place: (fitted[place], reason) for place, (_, reason) in found.items()}


def _first(entry: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((entry[name] for name in names if name in entry), None)


def _grades(entry: Mapping[str, Any], names: Mapping[str, Graded]) -> Grades:
    inner = entry.get("scores")
    flat = {**entry, **inner} if isinstance(inner, Mapping) else entry
    told = {str(key).strip().lower().replace(" ", "_"): value for key, value in flat.items()}
    read = {criterion.name: number(told.get(key)) for key, criterion in names.items()}
    return {name: grade for name, grade in read.items() if grade is not None}
