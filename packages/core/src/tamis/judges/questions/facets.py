"""One candidate, one question: which pieces of knowledge does the query need, given this passage?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tamis.prompts.harmless import neutralise
from tamis.prompts.parsing import json_objects, nested
from tamis.prompts.prompting import DATA_ONLY, chat, fitting, passage_blocks, query_block
from tamis.text.normal import folded
from tamis.values.answers import Generated
from tamis.values.calls import Generate
from tamis.values.ranking import Query

SYSTEM = f"You plan what must be found to answer a query. {DATA_ONLY}"
OVERHEAD, ANSWER_TOKENS = 260, 200
MOST, LONGEST, READ = 6, 120, 100
EXAMPLE = {"facets": ["when the bridge was built", "who paid for it"]}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"facets": {"type": "array", "maxItems": MOST, "items": {"type": "string"}}},
    "required": ["facets"],
    "additionalProperties": False,
}


def facets_call(model: Any, query: Query, text: str, max_tokens: int) -> Generate:
    """Ask for the parts of an answer, as short search phrases, in the light of one passage.

    Source: Knowledge-Aware Diverse Reranking (2025), in our words.
    """
    reserved = OVERHEAD + ANSWER_TOKENS + len(query.text) // 2
    user = "\n\n".join(
        [
            query_block(query.text, query.instruction),
            passage_blocks([text], model, fitting(model, 1, max_tokens, reserved)),
            "Which separate pieces of knowledge does a full answer to the query need? Use the passage to see what the "
            f"query is about; name also what it lacks. Give at most {MOST}, each a phrase one could search for, none "
            "that repeats another. If the query asks for one thing only, give an empty list. Answer with JSON only, in "
            f"the form {json.dumps(EXAMPLE)}.",
        ]
    )
    expect = json.dumps(EXAMPLE)
    return Generate(model, chat(SYSTEM, user), max_tokens=ANSWER_TOKENS, schema=SCHEMA, expect=expect, usable=_usable)


def _usable(answer: Generated) -> bool:
    return parse_facets(answer.text) is not None


def parse_facets(text: str) -> list[str] | None:
    """The phrases, each once and on one line; `None` when the answer holds no list of them. Of several the last.

    >>> parse_facets('```json {"facets": ["cost of a ticket", "Cost  of a ticket", ""]}```')
    ['cost of a ticket']
    """
    lists = [entry["facets"] for outer in json_objects(text) for entry in nested(outer) if _is_list(entry)]
    if not lists:
        return None
    lines: dict[str, str] = {}
    for line in (plain(item) for item in lists[-1][:READ] if isinstance(item, str)):
        lines.setdefault(folded(line), line)
    return [line for line in lines.values() if line][:MOST]


def _is_list(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("facets"), list)


def plain(text: str) -> str:
    """One line without marks that could shape a prompt."""
    return neutralise(" ".join(text[: 4 * LONGEST].encode("utf-8", "replace").decode().split()))[:LONGEST]
