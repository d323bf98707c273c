"""Which criteria matter for this query? Asked once, of the query alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from tamis.criteria.criterion import RELEVANCE, STANDARD, Criterion
from tamis.prompts.harmless import neutralise
from tamis.prompts.parsing import json_objects, nested, number
from tamis.prompts.prompting import DATA_ONLY, chat, query_block
from tamis.values.answers import Failure, unread
from tamis.values.calls import Asking, Generate
from tamis.values.ranking import Notice, Query

FEWEST, MOST, READ = 2, 5, 200
SYSTEM = f"You plan how search results should be judged. You see the query only. {DATA_ONLY}"
ASK = (
    "Besides relevance, which two to five properties should a passage have to be most useful for this query? "
    "Choose what this query needs, for example: technical accuracy, fit to the domain, several viewpoints, timeliness, "
    "depth, specificity, trustworthiness, neutrality, reasoning, authority. For each give a short name, one sentence "
    "that tells a judge what deserves a low and a high grade, and a weight from 0 to 1 (0.5 is usual)."
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "criteria": {
            "type": "array",
            "minItems": FEWEST,
            "maxItems": MOST,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "description": {"type": "string"},
                    "weight": {"type": "number", "minimum": 0, "maximum": 1},
                },
                "required": ["name", "description", "weight"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["criteria"],
    "additionalProperties": False,
}
NAME_PART = re.compile(r"\w+(?:['’&/.+-]\w+)*")
FORM = '{"criteria": [{"name": <short name>, "description": <one sentence>, "weight": <0 to 1>}, ...]}'
"""No example: small models name its criterion for every query."""
EXPECTED = {"description": "explains in detail rather than in passing", "weight": 0.5}


def infer_criteria(model: Any, query: Query) -> Asking[tuple[tuple[Criterion, ...], list[Notice]]]:
    """Criteria for `query` as the model sees them, or the standard five with a notice when its answers are unusable.

    One `generate` call, a second when the first is unusable. The call depends on nothing but the query's words, so the
    engine's cache answers it when the query comes again. Source: two-turn REBEL (LeVine and Varjavand, 2025).
    """
    problem = ""
    for attempt in range(2):
        (answer,) = yield [infer_call(model, query, attempt)]
        if isinstance(answer, Failure):
            problem = str(answer)
            break
        if criteria := parse_criteria(answer.text):
            return criteria, []
        problem = unread("the answer named no usable criteria", answer).message
    message = f"criteria could not be inferred ({problem}); the standard ones are used: {', '.join(STANDARD)}"
    return tuple(STANDARD.values()), [Notice(message)]


def infer_call(model: Any, query: Query, attempt: int) -> Generate:
    words = " ".join(query.text.split())
    form = f"Answer with JSON only, in the form {FORM}."
    expect = json.dumps({"criteria": [{"name": name, **EXPECTED} for name in ("depth", "clarity", "recency")]})
    user = "\n\n".join([query_block(words, query.instruction), ASK, form])
    return Generate(
        model,
        chat(SYSTEM, user),
        max_tokens=600,
        schema=SCHEMA,
        expect=expect,
        attempt=attempt,
        usable=lambda answer: bool(parse_criteria(answer.text)),
    )


def parse_criteria(text: str) -> tuple[Criterion, ...]:
    """Two to five criteria with distinct names and weights in 0..1, or none. Relevance is left out: it is always
    judged. Of several answers the last that names two or more counts."""
    found: dict[str, Criterion] = {}
    for outer in json_objects(text):
        said: dict[str, Criterion] = {}
        for entry in islice(nested(outer), READ):
            criterion = _criterion(entry)
            if criterion and criterion.name != RELEVANCE.name:
                said.setdefault(criterion.name, criterion)
        found = said if len(said) >= FEWEST else {**found, **{n: c for n, c in said.items() if n not in found}}
    chosen: Sequence[Criterion] = list(found.values())[:MOST]
    return tuple(chosen) if len(chosen) >= FEWEST else ()


def _criterion(entry: Mapping[str, Any]) -> Criterion | None:
    """Its name is reduced to words, its description to one line without marks: neither may shape a prompt."""
    name, description = entry.get("name"), entry.get("description")
    words = " ".join(NAME_PART.findall(name[:400].lower()))[:60].strip() if isinstance(name, str) else ""
    if not words:
        return None
    weight = number(entry.get("weight"))
    weight = 0.5 if weight is None else min(1.0, max(0.0, weight))
    told = " ".join(description[:2000].split()) if isinstance(description, str) else ""
    return Criterion(words, neutralise(told.encode("utf-8", "replace").decode())[:400], weight)
