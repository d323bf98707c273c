"""Vectors of a query and its candidates: brought along, or asked of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tamis.calls import Embed, Failure
from tamis.ranking import Query, Ranked
from tamis.stage import Asking

Given = Sequence[float] | Failure
MISSING = Failure("malformed", "it brings no vector and no model was given")


def vectors(
    model: Any, query: Query | None, head: Sequence[Ranked], given: bool
) -> Asking[tuple[Given | None, list[Given]]]:
    """The vectors of `query` (`None`: not needed) and of `head`, a `Failure` in the place of each that is not there.

    `model` embeds them, all in one round; `given`: only those that bring no vector. Without a model they must.
    """
    brought: list[Any] = [query.vector if query else None, *(ranked.candidate.vector for ranked in head)]
    found: list[Any] = brought if given or model is None else [None] * len(brought)
    calls = [Embed(model, query.text, "query") if query else None]
    calls += [Embed(model, ranked.candidate.full_text) for ranked in head]
    wanted = [place for place, vector in enumerate(found) if vector is None and calls[place] is not None]
    if model is None:
        answers: Sequence[Any] = [MISSING] * len(wanted)
    else:
        answers = (yield [call for place in wanted if (call := calls[place]) is not None]) if wanted else ()
    for place, answer in zip(wanted, answers, strict=True):
        found[place] = answer if isinstance(answer, Failure) else answer.values
    return found[0], found[1:]
