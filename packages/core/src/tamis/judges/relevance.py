"""One candidate, one question: is it relevant? Read from the probabilities of two labels."""

from __future__ import annotations

import math
from typing import Any

from tamis.prompts.prompting import DATA_ONLY, chat, fitting, passage_blocks, query_block
from tamis.values.calls import ChoiceLogprobs, Logprobs
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


def label_probability(answer: Logprobs) -> float | None:
    """p(positive) among the two labels, `None` when the model shows neither. Source: Zhuang et al., 2023."""
    if len(answer.values) != 2:
        return None
    yes, no = answer.values
    if math.isnan(yes) or math.isnan(no) or yes == no == -math.inf:
        return None
    return 1.0 / (1.0 + math.exp(min(700.0, no - yes)))
