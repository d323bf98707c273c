"""What a graph is built from: one query and the candidates of its ranking, read once for all edge types."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.pool.sparse import Floats
from tamis.pool.terms import Tokens
from tamis.text.terms import COMMON, terms
from tamis.values.ranking import Candidate, Query

SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n+")


class Pool:
    """A query and n candidates; node i of every graph of this pool is `candidates[i]`.

    `vectors`: n embeddings of one length for those edges and methods that compare them, made unit length here; a row
    of zeros for a candidate without one. Default: those the candidates bring.
    """

    def __init__(self, query: Query, candidates: Sequence[Candidate], vectors: Any = None) -> None:
        self.query = query
        self.candidates = tuple(candidates)
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self.candidates)

    @cached_property
    def query_terms(self) -> tuple[str, ...]:
        return tuple(terms(self.query.text))

    @cached_property
    def tokens(self) -> Tokens:
        """The terms of every candidate's title and text."""
        return Tokens.of([candidate.full_text for candidate in self.candidates])

    @cached_property
    def sentences(self) -> tuple[Tokens, NDArray[np.int64]]:
        """The terms of every sentence, and to which candidate each sentence belongs."""
        found = [SENTENCE.split(candidate.full_text) for candidate in self.candidates]
        owners = np.repeat(np.arange(len(found)), np.fromiter(map(len, found), np.int64, len(found)))
        return Tokens.of([sentence for sentences in found for sentence in sentences]), owners

    @cached_property
    def vectors(self) -> Floats:
        given = [c.vector for c in self.candidates] if self._vectors is None else self._vectors
        return unit_rows(given)

    def content(self, tokens: Tokens, query_weight: float = 0.0) -> Floats:
        """For each term of `tokens` 0 for the commonest words, `query_weight` for words of the query, else 1."""
        weights = np.ones(tokens.features)
        weights[tokens.numbers(self.query_terms)] = query_weight
        weights[tokens.numbers(tuple(COMMON))] = 0.0
        return weights


def unit_rows(vectors: Iterable[Sequence[float] | None]) -> Floats:
    """The vectors as rows of length 1; zeros for one that is missing, is zero, is not finite or is of another length
    than most."""
    given = list(vectors)
    widths = Counter(len(vector) for vector in given if vector is not None)
    width = max(widths, key=lambda width: (widths[width], width), default=0)
    rows = np.zeros((len(given), width))
    for index, vector in enumerate(given):
        if vector is not None and len(vector) == width:
            rows[index] = vector
    with np.errstate(all="ignore"):
        rows /= np.abs(rows).max(axis=1, initial=0.0, keepdims=True)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[~np.isfinite(rows).all(axis=1)] = 0.0
    return rows
