"""What a judge is shown of a candidate besides its text, and what the asker wants of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from tamis.judges.base import PICTURES, Asked
from tamis.judges.harmless import neutralise
from tamis.ranking import Query, Ranked
from tamis.scale import rescale

Show = tuple[str, ...]
"""Names of metadata fields to show above each passage; `"score"` is the first stage's, 0..100 within the query, and
`"images"` are the pictures, which follow the prompt and go by numbers in it, the query's first."""

PassageTokens = Annotated[int, Field(ge=16)]
SCORE = "score"
SCORE_HINT = (
    "Each passage comes with the score of a first search, from 0 to 100; weigh it together with what the passage says."
)
IMAGES_HINT = (
    "The images after this text are numbered from 1 in the order they come; a passage names its own, and those that no "
    "passage names belong to the query."
)
LONGEST = 200


def first_stage_scores(pool: Sequence[Ranked]) -> dict[int, float]:
    """Whole numbers 0..100 by position, min-max over `pool`; those that came without a score are left out. Source:
    InsertRank (Seetharaman et al., 2025)."""
    scores = [ranked.candidate.score for ranked in pool]
    known = [score for score in scores if score is not None]
    if not known:
        return {}
    scaled = rescale(scores, min(known), max(known))
    return {r.position: float(round(100 * s)) for r, s in zip(pool, scaled, strict=True) if s is not None}


def texts(asked: Asked, show: Show) -> list[str]:
    """The text of each candidate shown, under its features."""
    if not show:
        return [ranked.candidate.full_text for ranked in asked.shown]
    found, number = [], len(asked.query.images) + 1
    for ranked in asked.shown:
        numbers = range(number, number := number + len(ranked.candidate.images))
        found.append(_featured(asked, ranked, show, ", ".join(map(str, numbers))))
    return found


def _featured(asked: Asked, ranked: Ranked, show: Show, pictures: str) -> str:
    lines = []
    for name in show:
        if name == PICTURES:
            lines += [f"images: {pictures}"] if pictures else []
            continue
        value = asked.scores.get(ranked.position) if name == SCORE else ranked.candidate.metadata.get(name)
        if value is not None:
            told = f"{value:g}" if name == SCORE else " ".join(neutralise(str(value)).split())[:LONGEST]
            lines.append(f"{name}: {told}")
    return "\n".join([*lines, ranked.candidate.full_text])


def instructed(query: Query, instruction: str | None) -> Query:
    """The query with the judge's own definition of relevance in front of the asker's wishes."""
    if not instruction:
        return query
    return replace(query, instruction="\n".join(filter(None, [instruction, query.instruction])))


def told(show: Show) -> list[str]:
    """The sentence a prompt needs to make use of what is shown."""
    return [*([SCORE_HINT] if SCORE in show else []), *([IMAGES_HINT] if PICTURES in show else [])]
