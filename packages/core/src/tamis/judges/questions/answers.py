"""A batch of candidates, one structured call: which answers to the query does each of them give?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tamis.prompts.parsing import index, json_objects, nested
from tamis.prompts.prompting import DATA_ONLY, chat, fitting, passage_blocks, query_block
from tamis.values.answers import Generated
from tamis.values.calls import Generate
from tamis.values.ranking import Query

SYSTEM = f"You read answers to a query out of passages. {DATA_ONLY}"
OVERHEAD, TOKENS_PER_PASSAGE = 260, 60
FORM = '{"passages": [{"passage": <number>, "answers": [<a few words>, ...]}]}'
"""No example: small models copy its answer to every passage."""


def answers_call(model: Any, query: Query, texts: Sequence[str], max_tokens: int) -> Generate:
    """Ask which short answers each passage supports, as JSON."""
    count = len(texts)
    answer_tokens = 32 + TOKENS_PER_PASSAGE * count
    reserved = OVERHEAD + answer_tokens + len(query.text) // 2
    user = "\n\n".join(
        [
            query_block(query.text, query.instruction),
            passage_blocks(texts, model, fitting(model, count, max_tokens, reserved)),
            "For each passage write down the answers to the query that it supports, each as a phrase of a few words. "
            "Use the same words where passages give the same answer. A passage that supports none gets an empty list. "
            f"Answer with JSON only, in the form {FORM}, one entry for each passage from 1 to {count}.",
        ]
    )
    expect = json.dumps({"passages": [{"passage": number, "answers": ["an answer"]} for number in range(1, count + 1)]})

    def usable(answer: Generated) -> bool:
        return bool(parse_answers(answer.text, count))

    return Generate(
        model, chat(SYSTEM, user), max_tokens=answer_tokens, schema=_schema(count), expect=expect, usable=usable
    )


def _schema(count: int) -> dict[str, Any]:
    entry = {
        "type": "object",
        "properties": {
            "passage": {"type": "integer", "minimum": 1, "maximum": count},
            "answers": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["passage", "answers"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"passages": {"type": "array", "items": entry}},
        "required": ["passages"],
        "additionalProperties": False,
    }


def parse_answers(text: str, count: int) -> dict[int, tuple[str, ...]]:
    """What a model said of each passage: 0-based index to its answers. Never raises; what is missing is missing; of
    several answers the last that names all passages counts.

    >>> parse_answers('{"passages": [{"passage": 2, "answers": ["Rome"]}, {"passage": 9, "answers": []}]}', 2)
    {1: ('Rome',)}
    """
    found: dict[int, tuple[str, ...]] = {}
    for outer in json_objects(text):
        said: dict[int, tuple[str, ...]] = {}
        for entry in nested(outer):
            place, answers = index(entry.get("passage"), count), entry.get("answers")
            if place is not None and isinstance(answers, list):
                said.setdefault(place, tuple(answer for answer in answers if isinstance(answer, str)))
        found = said if len(said) == count else {**said, **found}
    return found
