"""Vectors of a query and its candidates: brought along, or asked of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tamis.prompts.harmless import neutralise_control
from tamis.values.answers import Failure
from tamis.values.calls import Asking, Embed
from tamis.values.ranking import Query, Ranked

Given = Sequence[float] | Failure
MISSING = Failure("malformed", "it brings no vector and no model was given")


def vectors(
    model: Any, query: Query | None, head: Sequence[Ranked], given: bool, ending: str = "", prompt: bool = False
) -> Asking[tuple[Given | None, list[Given]]]:
    """The vectors of `query` (`None`: not needed) and of `head`, a `Failure` in the place of each that is not there.

    `model` embeds them, all in one round; `given`: only those that bring no vector. Without a model they must.
    `ending` is added to each candidate's text; control tokens in it count. `prompt`: the query is a prompt, and so they
    do in the query.
    """
    brought: list[Any] = [query.vector if query else None, *(ranked.candidate.vector for ranked in head)]
    found: list[Any] = brought if given or model is None else [None] * len(brought)
    calls = [Embed(model, query.text, "query", prompt) if query else None]
    calls += [_passage(model, ranked.candidate.full_text, ending) for ranked in head]
    wanted = [place for place, vector in enumerate(found) if vector is None and calls[place] is not None]
    if model is None:
        answers: Sequence[Any] = [MISSING] * len(wanted)
    else:
        answers = (yield [call for place in wanted if (call := calls[place]) is not None]) if wanted else ()
    for place, answer in zip(wanted, answers, strict=True):
        found[place] = answer if isinstance(answer, Failure) else answer.values
    return found[0], found[1:]


def _passage(model: Any, text: str, ending: str) -> Embed:
    return Embed(model, neutralise_control(text) + ending, controls=True) if ending else Embed(model, text)


def cosines(
    model: Any, query: Query, head: Sequence[Ranked], given: bool = False, ending: str = "", prompt: bool = False
) -> Asking[list[float | Failure]]:
    """Of the query with each candidate, or why there is none. Arguments as for `vectors`."""
    asked, found = yield from vectors(model, query, head, given, ending, prompt)
    return [compare(asked or MISSING, vector) for vector in found]


def compare(query: Sequence[float] | Failure, passage: Sequence[float] | Failure) -> float | Failure:
    """Cosine of two embeddings, or why there is none."""
    if isinstance(query, Failure):
        return query
    if isinstance(passage, Failure):
        return passage
    if len(query) != len(passage):
        return Failure("malformed", f"a vector of {len(passage)} numbers for a query of {len(query)}")
    score = cosine(query, passage)
    return score if math.isfinite(score) else Failure("malformed", "the vectors held no usable numbers")


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """Cosine of two vectors of the same length; 0 when one is all zeros, NaN where their numbers overflow."""
    import numpy as np

    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    with np.errstate(all="ignore"):
        norm = math.sqrt(float(left @ left) * float(right @ right))
        return float(left @ right) / norm if norm else 0.0
