"""A window of candidates, one question: in which order? The model writes the order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tamis.calls import Generate
from tamis.judges.prompting import DATA_ONLY, chat, fitting, passage_blocks, query_block
from tamis.ranking import Query

SYSTEM = f"You order passages by how well they answer a query, best first. {DATA_ONLY}"
OVERHEAD = 300
TOKENS_PER_NUMBER = 6


def permutation_call(model: Any, query: Query, texts: Sequence[str], max_tokens: int, attempt: int = 0) -> Generate:
    """Ask for the order of `texts` as `[2] > [1] > [3]`. Source: RankGPT (Sun et al., 2023)."""
    count = len(texts)
    answer_tokens = 16 + TOKENS_PER_NUMBER * count
    reserved = OVERHEAD + answer_tokens + len(query.text) // 2
    user = "\n\n".join(
        [
            query_block(query.text, query.instruction),
            passage_blocks(texts, model, fitting(model, count, max_tokens, reserved)),
            f"Order all {count} passages by how well they answer the query, the best first. Answer with the numbers "
            f"only, each once, in this form: [2] > [1]. Use every number from 1 to {count} and write nothing else.",
        ]
    )
    expect = " > ".join(f"[{number}]" for number in range(1, count + 1))
    return Generate(model, chat(SYSTEM, user), max_tokens=answer_tokens, expect=expect, attempt=attempt)
