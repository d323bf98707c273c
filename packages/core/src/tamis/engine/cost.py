"""What a call costs: tokens as the model reports them, else estimated; FLOPs from the model's architecture."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

from tamis.calls import (
    Answer,
    Call,
    Classify,
    ClassifyVectors,
    Embed,
    EmbedTokens,
    Generate,
    Generated,
    Logprobs,
    PromptLogprobs,
    Score,
)
from tamis.flops import Architecture
from tamis.tokens import estimate_tokens

TEXTS = frozenset({"messages", "prefix", "continuation", "query", "text", "texts"})
"""Fields of calls that a model reads."""


@cache
def _texts_of(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name in TEXTS)


def read_tokens(call: Call) -> int:
    """Estimated tokens the model will read: what an encoder cuts off (beyond its `max_length`) is not read."""
    tokens = 0
    kind: Any = type(call)
    for name in _texts_of(kind):
        value = getattr(call, name)
        if isinstance(value, str):
            tokens += estimate_tokens(value)
        else:
            tokens += sum(estimate_tokens(getattr(part, "content", part)) for part in value)
    if isinstance(call, ClassifyVectors):
        return tokens + len(call.vectors)
    if isinstance(call, (Classify, Embed, EmbedTokens)) and (longest := getattr(call.model, "max_length", None)):
        return min(tokens, longest)
    return tokens


def call_tokens(call: Call) -> int:
    """Estimated tokens a call will cost, in and out."""
    return read_tokens(call) + (estimate_tokens(call.expect) if isinstance(call, Generate) else 0)


def charge(counts: dict[str, int], architecture: Architecture | None, call: Call, answer: Answer) -> int:
    """Add an answered call to `counts`, by the names of `Usage`. Returns its tokens, in and out."""
    read, wrote = answer.tokens_in, answer.tokens_out
    if read is None:
        read = read_tokens(call)
    if wrote is None:
        wrote = estimate_tokens(answer.text) if isinstance(answer, Generated) else 0
    counts["calls"] += 1
    counts["tokens_in"] += read
    counts["tokens_out"] += wrote
    if isinstance(answer, Score):
        counts["search_units"] += answer.search_units
    if architecture is None:
        counts["unmetered"] += 1
    else:
        n, m = workload(call, answer, read, wrote)
        counts["flops"] += architecture.flops(n, m)
        counts["flops_paper"] += architecture.flops(n, m, form="paper")
    return read + wrote


def workload(call: Call, answer: Answer, read: int, wrote: int) -> tuple[int, int]:
    """What the model did for an answer, in tokens read and tokens written (n and m of `Architecture.flops`).

    An embedding writes nothing. A score or a choice is read off one next token. Tokens whose likelihood is asked for
    cost what writing them would.
    """
    if isinstance(call, (Embed, EmbedTokens)):
        return read, 0
    if isinstance(call, Generate):
        return read, wrote
    if isinstance(call, PromptLogprobs) and isinstance(answer, Logprobs):
        given = min(read, len(answer.values))
        return read - given, given
    return read, 1
