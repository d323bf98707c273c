"""What a call costs: tokens as the model reports them, else estimated; FLOPs from the model's architecture."""

from __future__ import annotations

from tamis.compute.flops import Architecture
from tamis.values.answers import Answer, Failure, Generated, Score
from tamis.values.calls import Call


def call_tokens(call: Call) -> int:
    """Estimated tokens a call will cost, in and out."""
    return call.tokens_read() + call.tokens_written()


def kept(call: Call, failure: Failure, reserved: int) -> int:
    """Tokens that a call which failed is charged of those `reserved` for it: what the model reports, else what it read.
    What it may have written stays reserved where it does not report that."""
    if not reserved:
        return 0
    read, wrote = failure.tokens_in, failure.tokens_out
    if read is None and wrote is None:
        return reserved if failure.wrote else min(reserved, call.tokens_read())
    if read is None or read < call.tokens_read():
        read = call.read_at_most()
    if wrote is None:
        wrote = max(0, reserved - call.read_at_most()) if failure.wrote else 0
    return read + wrote


def charge(counts: dict[str, int], architecture: Architecture | None, call: Call, answer: Answer) -> int:
    """Add an answered call to `counts`, by the names of `Usage`. Returns its tokens, in and out."""
    read = call.tokens_read() if answer.tokens_in is None else answer.tokens_in
    wrote = answer.tokens_written() if answer.tokens_out is None else answer.tokens_out
    counts["calls"] += 1
    counts["tokens_in"] += read
    counts["tokens_out"] += wrote
    if isinstance(answer, Generated):
        counts["thoughts"] += answer.thoughts or 0
    elif isinstance(answer, Score):
        counts["search_units"] += answer.search_units
    if architecture is None:
        counts["unmetered"] += 1
    else:
        n, m = call.passes(answer, read, wrote)
        counts["flops"] += architecture.flops(n, m)
        counts["flops_paper"] += architecture.flops(n, m, form="paper")
    return read + wrote
