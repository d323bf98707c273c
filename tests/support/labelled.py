"""Labelled rankings made by arithmetic, for what is fitted to them."""

from __future__ import annotations

from collections.abc import Sequence

from tamis.evaluate.dataset import Dataset, Question
from tamis.values.ranking import Candidate, Query, Ranking
from tamis.values.scale import LOGIT, Scale


def labelled(
    lists: Sequence[Sequence[tuple[float | None, bool]]], scale: Scale = LOGIT
) -> tuple[dict[str, Ranking], Dataset]:
    """One query a list of (score, relevant), best first as given; candidate ids are numbers, in qrels strings."""
    rankings, qrels, questions = {}, {}, {}
    for number, pairs in enumerate(lists):
        name = f"q{number}"
        questions[name] = Question(name, Query(name))
        found = [Candidate("", id=1000 * number + place, score=score) for place, (score, _) in enumerate(pairs)]
        rankings[name] = Ranking.of(name, found, scale=scale)
        qrels[name] = {str(c.id): int(relevant) for c, (_, relevant) in zip(found, pairs, strict=True)}
    return rankings, Dataset("made", questions, {}, qrels, {})
