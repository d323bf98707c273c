"""What a judge is shown of a candidate besides its text, and what the asker wants of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tamis.judges.base import PICTURES, Asked
from tamis.prompts.harmless import neutralise
from tamis.prompts.hints import hints
from tamis.values.ranking import Query, Ranked
from tamis.values.scale import rescale

Show = tuple[str, ...]
"""Names of metadata fields to show above each passage. `"score"` is the first stage's, 0..100 within the query;
`"hints"` are the passage's words nearest in meaning to the query's (`judges.hints`); `"images"` are the pictures, which
follow the prompt and go by numbers in it, the query's first (addresses only where the model permits them)."""

SCORE, HINTS = "score", "hints"
SCORE_HINT = (
    "Each passage comes with the score of a first search, from 0 to 100; weigh it together with what the passage says."
)
HINTS_HINT = (
    "The hints of a passage are those of its words that are nearest in meaning to the query; they do not tell whether "
    "it answers the query."
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
    found, number = [], len(asked.pictures(asked.query)) + 1
    for ranked in asked.shown:
        numbers = range(number, number := number + len(asked.pictures(ranked)))
        found.append(_featured(asked, ranked, show, ", ".join(map(str, numbers))))
    return found


def _featured(asked: Asked, ranked: Ranked, show: Show, pictures: str) -> str:
    features = {name: _feature(name, asked, ranked, pictures) for name in show}
    return "\n".join([*(f"{name}: {told}" for name, told in features.items() if told), ranked.candidate.full_text])


def _feature(name: str, asked: Asked, ranked: Ranked, pictures: str) -> str:
    """What is shown of a candidate under `name`; empty where there is nothing to show."""
    if name == PICTURES:
        return pictures
    if name == HINTS:
        return ", ".join(hints(asked.query.text, ranked.candidate.full_text))
    if name == SCORE:
        score = asked.scores.get(ranked.position)
        return "" if score is None else f"{score:g}"
    value = ranked.candidate.metadata.get(name)
    return "" if value is None else " ".join(neutralise(str(value)).split())[:LONGEST]


def instructed(query: Query, instruction: str | None) -> Query:
    """The query with the judge's own definition of relevance in front of the asker's wishes."""
    if not instruction:
        return query
    return replace(query, instruction="\n".join(filter(None, [instruction, query.instruction])))


def told(show: Show) -> list[str]:
    """The sentences a prompt needs to make use of what is shown."""
    sentences = {SCORE: SCORE_HINT, HINTS: HINTS_HINT, PICTURES: IMAGES_HINT}
    return [sentence for name, sentence in sentences.items() if name in show]
