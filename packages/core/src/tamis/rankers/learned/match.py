"""Where the words of a query are in the texts of a pool, exactly and in meaning, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tamis.pool.terms import Tokens
from tamis.text.terms import COMMON, terms
from tamis.text.vectors import UNLIKE, Vectors, WordVectors, lengths, unit_length

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Number = TypeVar("Number", np.float32, np.float64, np.bool_)

K1, B = 0.9, 0.4
HALF = 10
"""A window is two neighbouring halves of this many terms."""
BLOCK = 20
"""Texts per block: small enough for the CPU cache."""
PART = 4_096
"""Texts per part: what is computed for each of them has no more rows at once."""


class Match:
    """A query against n texts. Arrays are (n, m) for the m content words of the query unless said otherwise.

    A query of nothing but the commonest words is taken whole; one without any word matches nothing.
    """

    def __init__(self, query: str, texts: Sequence[str], vectors: WordVectors) -> None:
        self.vectors = vectors
        self.tokens = Tokens.of(texts)
        self.query_terms = terms(query)
        content = [term for term in self.query_terms if term not in COMMON]
        self.words = list(dict.fromkeys(content or self.query_terms)) or [""]

    @cached_property
    def sizes(self) -> Ints:
        """Terms of each text."""
        return np.diff(self.tokens.starts)

    @cached_property
    def places(self) -> Ints:
        """The number of each query word in the pool's vocabulary, -1 for one that does not occur. Shape (m,)."""
        return np.array(list(map(self.tokens.number, self.words)), dtype=np.int64)

    @cached_property
    def rarity(self) -> Floats:
        """BM25's inverse document frequency of the query words within the pool. Shape (m,)."""
        frequencies = np.append(self.tokens.incidence.spread, 0)[self.places]
        return np.log1p((self.tokens.size - frequencies + 0.5) / (frequencies + 0.5))

    @cached_property
    def weights(self) -> Floats:
        """What each query word counts, summing to 1: rare in the pool and rare in English. Shape (m,)."""
        most = np.log1p((self.tokens.size + 0.5) / 0.5)
        weights = (0.25 + self.rarity / most) * (0.2 + self.vectors.rarity(self.words))
        return weights / max(weights.sum(), 1e-9)

    @cached_property
    def hits(self) -> tuple[Ints, Ints]:
        """Where a query word is, as an index into all terms of the pool, and which word it is."""
        known = self.places >= 0
        word_of = np.full(self.tokens.features, -1, dtype=np.int64)
        word_of[self.places[known]] = np.flatnonzero(known)
        words = word_of[self.tokens.ids]
        at = np.flatnonzero(words >= 0)
        return at, words[at]

    @cached_property
    def counts(self) -> Floats:
        """How often each query word occurs in each text."""
        at, words = self.hits
        width = len(self.words)
        cells = self.tokens.owners[at] * width + words
        return np.bincount(cells, minlength=self.tokens.size * width).reshape(-1, width).astype(np.float64)

    @cached_property
    def damping(self) -> Floats:
        """BM25's length-dependent constant. Shape (n, 1)."""
        relative = self.sizes / max(float(self.sizes.mean()) if len(self.sizes) else 1.0, 1.0)
        return (K1 * (1 - B + B * relative))[:, None]

    def saturated(self, counts: Floats) -> Floats:
        """Counts as BM25 values them, 0..1."""
        return counts / (counts + self.damping)

    # windows -----------------------------------------------------------------------------------------------------

    @cached_property
    def halves(self) -> tuple[Ints, Ints]:
        """Half-windows: how many a text has (at least one), and where a text's begin."""
        number = np.maximum(1, -(-self.sizes // HALF))
        return number, np.cumsum(number) - number

    def half_of(self, at: Ints) -> Ints:
        """In which half-window the terms at these places of the pool are."""
        owners = self.tokens.owners[at]
        return self.halves[1][owners] + (at - self.tokens.starts[owners]) // HALF

    def best_window(self, values: Floats) -> Floats:
        """The largest value of a half-window of each text. Shape (n,)."""
        return np.maximum.reduceat(values, self.halves[1])

    def totals(self, values: NDArray[Number]) -> Floats:
        """Sums over the half-windows of each text. Shape (n, m)."""
        sums: Floats = np.add.reduceat(values, self.halves[1], axis=0, dtype=np.float64)
        return sums

    def widened(self, values: NDArray[Number]) -> NDArray[Number]:
        """For each half-window what the next one of the same text holds; zeros after the last."""
        number, begins = self.halves
        following = np.zeros_like(values)
        following[:-1] = values[1:]
        following[begins + number - 1] = 0
        return following

    # meaning -----------------------------------------------------------------------------------------------------

    @cached_property
    def word_vectors(self) -> Vectors:
        """Of the pool's vocabulary, the commonest words nearly silenced. Shape (vocabulary, width)."""
        quiet = self.vectors.of(self.tokens.words)
        quiet[self.tokens.marked(tuple(COMMON))] *= np.float32(0.1)
        return quiet

    @cached_property
    def likeness(self) -> Vectors:
        """How much each word of the pool means what each query word means: their cosine, brought from `UNLIKE`..1 to
        0..1; 0 for the commonest words, 1 for the word itself. Shape (vocabulary, m)."""
        products = self.word_vectors @ self.vectors.unit_length(self.words).T
        cosines = products / lengths(self.word_vectors)[:, None]
        alike: Vectors = np.clip((cosines - UNLIKE) / (1 - UNLIKE), 0.0, 1.0)
        alike[self.tokens.marked(tuple(COMMON))] = 0.0
        known = self.places >= 0
        alike[self.places[known], np.flatnonzero(known)] = 1.0
        return alike

    @cached_property
    def _related(self) -> NDArray[np.bool_]:
        """Which words of the pool are like any word of the query: few, so that only they are looked at."""
        return np.asarray(self.likeness.any(axis=1))

    @cached_property
    def nearest_in_half(self) -> Vectors:
        """The likeness of the nearest word in each half-window. Shape (half-windows, m)."""
        at = np.flatnonzero(self._related[self.tokens.ids])
        half = self.half_of(at)
        begins = np.flatnonzero(np.diff(half, prepend=-1))
        out = np.zeros((int(self.halves[0].sum()), len(self.words)), dtype=np.float32)
        if len(begins):
            out[half[begins]] = np.maximum.reduceat(self.likeness[self.tokens.ids[at]], begins, axis=0)
        return out

    @cached_property
    def soft(self) -> Floats:
        """How often each query word or one like it occurs in each text, as BM25 values counts. Shape (n, m)."""
        return self.saturated(self.totals(self.nearest_in_half))

    def meaning(self) -> Floats:
        """The cosine of each text's sum of word vectors with the query's, at least 0. Shape (n,)."""
        return in_parts(self.tokens.size, lambda first, last: self.alike(self._text_vectors(first, last)))

    def alike(self, rows: Vectors) -> Floats:
        """The cosines of unit vectors with the query's, at least 0."""
        return np.maximum(rows @ self.query_vector, 0.0).astype(np.float64)

    def _text_vectors(self, start: int, stop: int) -> Vectors:
        """Unit vectors of some texts, zeros for an empty one. Shape (stop - start, width)."""
        entries = self.tokens.incidence
        sums = np.zeros((stop - start, self.vectors.width), dtype=np.float32)
        for first in range(start, stop, BLOCK):
            last = min(first + BLOCK, stop)
            own = slice(*np.searchsorted(entries.rows, (first, last)))
            inside = np.zeros(entries.features, dtype=bool)
            inside[entries.cols[own]] = True
            used, place = np.flatnonzero(inside), np.cumsum(inside) - 1
            counts = np.zeros((last - first, len(used)), dtype=np.float32)
            counts[entries.rows[own] - first, place[entries.cols[own]]] = entries.counts[own]
            sums[first - start : last - start] = counts @ self.word_vectors[used]
        return unit_length(sums)

    @cached_property
    def query_vector(self) -> Vectors:
        total: Vectors = unit_length(self.vectors.of(self.words).sum(axis=0))
        return total


def in_parts(size: int, values: Callable[[int, int], Floats]) -> Floats:
    """One value, or row of values, per text, from those of `PART` texts at a time: what is as wide as a vector is never
    held for all texts. `values(first, last)`: of those texts."""
    return np.concatenate([values(first, min(first + PART, size)) for first in range(0, max(size, 1), PART)])


def per_text(owners: Ints, values: NDArray[np.float32] | Floats, size: int) -> Floats:
    """Sums of the rows of `values` that belong to each text; `owners` must be sorted. Shape (size, columns)."""
    out = np.zeros((size, values.shape[1]))
    begins = np.flatnonzero(np.diff(owners, prepend=-1))
    if len(begins):
        out[owners[begins]] = np.add.reduceat(values, begins, axis=0)
    return out
