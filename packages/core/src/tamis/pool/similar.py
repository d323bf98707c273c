"""How like each other the candidates of a pool are, one column of the matrix at a time: never all pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from tamis.pool.sparse import Floats, Ints, summed
from tamis.pool.terms import Incidence, Tokens
from tamis.text.terms import COMMON


class Similar(Protocol):
    """n vectors of length 1, or of zeros, that can be compared."""

    def __len__(self) -> int: ...

    def to(self, index: int) -> Floats:
        """The cosines of all with one of them. Shape (n,)."""

    @property
    def squares(self) -> Floats:
        """The square of each length. Shape (n,)."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Vectors as the rows of an array. Shape (n, width).

    >>> Rows(np.array([[1.0, 0.0], [0.6, 0.8]])).to(0).tolist()
    [1.0, 0.6]
    """

    rows: Floats

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, index: int) -> Floats:
        products: Floats = self.rows @ self.rows[index]
        return products

    @property
    def squares(self) -> Floats:
        squares: Floats = (self.rows**2).sum(axis=1)
        return squares


@dataclass(frozen=True, eq=False)
class TermVectors:
    """How often each term occurs in each of n texts, times ln(1 + n / texts that have it), each text at length 1.

    The commonest words count nothing; a text without others is all zeros. Holds what occurs only, and a column takes
    time for the texts that share a term.
    """

    found: Incidence
    values: Floats

    @classmethod
    def of(cls, texts: Sequence[str]) -> TermVectors:
        """
        >>> TermVectors.of(["a tall hill", "tall hill", "lake"]).to(0).round(6).tolist()
        [1.0, 1.0, 0.0]
        """
        tokens = Tokens.of(texts)
        found = tokens.incidence.only(~tokens.marked(tuple(COMMON)))
        return cls(found, found.normalised(found.counts * found.rarity[found.cols]))

    def __len__(self) -> int:
        return self.found.size

    def only(self, rows: Sequence[int]) -> TermVectors:
        """Those of some texts, in that order, with the rarities of all."""
        place = np.full(len(self), -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        used = np.flatnonzero(place[self.found.rows] >= 0)
        used = used[np.argsort(place[self.found.rows[used]], kind="stable")]
        found, own = self.found, place[self.found.rows[used]]
        return TermVectors(
            Incidence(len(rows), found.features, own, found.cols[used], found.counts[used]), self.values[used]
        )

    def to(self, index: int) -> Floats:
        begins, documents, weights = self._postings
        own = slice(*np.searchsorted(self.found.rows, (index, index + 1)))
        terms = self.found.cols[own]
        length = begins[terms + 1] - begins[terms]
        ends = np.cumsum(length)
        posting = np.arange(ends[-1] if len(ends) else 0) + np.repeat(begins[terms] - (ends - length), length)
        return summed(documents[posting], weights[posting] * np.repeat(self.values[own], length), len(self))

    @property
    def squares(self) -> Floats:
        return summed(self.found.rows, self.values**2, len(self))

    @cached_property
    def _postings(self) -> tuple[Ints, Ints, Floats]:
        """Where the texts that have each term begin, and these texts with their weights."""
        order = np.argsort(self.found.cols, kind="stable")
        begins = np.concatenate([[0], np.cumsum(self.found.spread)])
        return begins, self.found.rows[order], self.values[order]
