"""One candidate, one question: is it relevant? Read from the probabilities of two labels."""

from __future__ import annotations

from typing import Any

from tamis.prompts.prompting import DATA_ONLY, chat, fitting, passage_blocks, query_block
from tamis.values.calls import ChoiceLogprobs
from tamis.values.ranking import Query

SYSTEM = f"You decide whether a passage helps to answer a query. {DATA_ONLY}"
OVERHEAD = 200


def relevance_call(model: Any, query: Query, text: str, labels: tuple[str, str], max_tokens: int) -> ChoiceLogprobs:
    """Ask for the probabilities of `labels` (positive, negative) for one passage."""
    yes, no = labels
    user = "\n\n".join(
        [
            query_block(query.text, query.instruction),
            passage_blocks([text], model, fitting(model, 1, max_tokens, OVERHEAD + len(query.text) // 2)),
            f"Does the passage help to answer the query? Answer with one word, {yes} or {no}.",
        ]
    )
    return ChoiceLogprobs(model, chat(SYSTEM, user), labels)
