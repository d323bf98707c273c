"""A test set: queries, passages, judgements and what a first stage found."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tamis.values.ranking import Candidate, Query

Run = Mapping[str, Sequence[tuple[str, float | None]]]
"""Query id to (passage id, score), best first; the score is `None` where the first stage gave none."""


@dataclass(frozen=True, slots=True)
class Question:
    """One query of a test set. `fields` holds whatever else the file says of it, such as `answers`."""

    id: str
    query: Query
    fields: Mapping[str, Any] = field(default_factory=dict)

    def texts(self, name: str) -> tuple[str, ...]:
        """The strings under `name` (`answers`, `wrong_answers`), be it one or a list."""
        value = self.fields.get(name) or ()
        return (value,) if isinstance(value, str) else tuple(str(item) for item in value)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Queries, passages, judgements and a first stage, by id.

    `qrels` hold grades; from `relevant_from` on one counts as relevant where a metric knows only yes and no. `judges`:
    how many of the grades came from a model, by its name. `notices` say what was odd in the files and what was done
    about it.
    """

    name: str
    questions: Mapping[str, Question]
    corpus: Mapping[str, Candidate]
    qrels: Mapping[str, Mapping[str, float]]
    run: Run
    relevant_from: float = 1
    notices: tuple[str, ...] = ()
    judges: Mapping[str, int] = field(default_factory=dict)

    def pool(self, query_id: str, depth: int | None = None, run: Run | None = None) -> list[Candidate]:
        """The first `depth` passages a run (default: the first stage) found for a query, with its scores."""
        found = (self.run if run is None else run).get(query_id, ())
        return [replace(self.corpus[passage], score=score) for passage, score in found[:depth]]

    def relevant(self, query_id: str) -> dict[str, float]:
        """Passages judged relevant for a query, with their grades."""
        return {
            passage: grade for passage, grade in self.qrels.get(query_id, {}).items() if grade >= self.relevant_from
        }

    @property
    def judged_by(self) -> str:
        """Which models judged how much, in words; empty where people judged all."""
        if not self.judges:
            return ""
        made = sum(self.judges.values())
        every = sum(map(len, self.qrels.values()))
        names = " and ".join(self.judges)
        return f"judged by {names}" if made >= every else f"{made:,} of {every:,} judgements by {names}"

    def sample(self, size: int | None, seed: int = 0) -> list[str]:
        """Ids of `size` queries that are judged or have results, drawn with `seed`, the same on every machine, in the
        order of the set."""
        ids = [query_id for query_id in self.questions if query_id in self.qrels or query_id in self.run]
        if size is None or size >= len(ids):
            return ids
        drawn = set(random.Random(seed).sample(sorted(ids), size))
        return [query_id for query_id in ids if query_id in drawn]
