"""What a graph is built from: one query and the candidates of its ranking, read once for all edge types."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from tamis.graph.terms import Tokens
from tamis.ranking import Candidate, Query
from tamis.text import terms


class Pool:
    """A query and n candidates; node i of every graph of this pool is `candidates[i]`."""

    def __init__(self, query: Query, candidates: Sequence[Candidate]) -> None:
        self.query = query
        self.candidates = tuple(candidates)

    def __len__(self) -> int:
        return len(self.candidates)

    @cached_property
    def query_terms(self) -> tuple[str, ...]:
        return tuple(terms(self.query.text))

    @cached_property
    def tokens(self) -> Tokens:
        """The terms of every candidate's title and text."""
        return Tokens.of([candidate.full_text for candidate in self.candidates])
