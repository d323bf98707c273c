"""Static vectors of words, shipped with the package: 8-bit numbers for the pieces of a public vocabulary."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Number = TypeVar("Number", bound="np.floating[Any]")

FILE = "words.npz"
KNOWN = 32_768
"""How many words are kept split and summed."""
UNLIKE = 0.35
"""Cosines of words up to here say nothing."""


@dataclass(frozen=True, eq=False)
class WordVectors:
    """A vector for each piece of a WordPiece vocabulary; a word is the sum of its pieces, and long where it is rare.

    `pieces`: `"word"` begins a word and `"##ing"` continues one. Source of the way of splitting: Wu et al., 2016; of
    vectors distilled from a sentence encoder without text: model2vec (Tulkens and van Dongen, 2024).

    >>> vectors = packaged()
    >>> word, other, far = vectors.of(["physician", "doctor", "gravel"])
    >>> bool(word @ other > word @ far)
    True
    """

    pieces: Sequence[str]
    codes: NDArray[np.int8]
    scales: Vectors

    @property
    def width(self) -> int:
        return int(self.codes.shape[1])

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        return {piece: number for number, piece in enumerate(self.pieces)}

    @cached_property
    def _vector(self) -> Any:
        return lru_cache(maxsize=KNOWN)(self._summed)

    @cached_property
    def _rarity(self) -> Any:
        return lru_cache(maxsize=KNOWN)(self._ranked)

    def of(self, words: Sequence[str]) -> Vectors:
        """One row a word, zeros for what the vocabulary cannot spell. Shape (words, width)."""
        return np.frombuffer(bytearray().join(map(self._vector, words)), dtype=np.float32).reshape(-1, self.width)

    def unit_length(self, words: Sequence[str]) -> Vectors:
        """As `of`, each row of length 1; zeros stay zeros."""
        return unit_length(self.of(words))

    def rarity(self, words: Sequence[str]) -> NDArray[np.float64]:
        """How rare each word is in English at large, 0..1: the logarithm of its place in the vocabulary, which is
        sorted by frequency; 1 for a word of several pieces."""
        return np.array([self._rarity(word) for word in words])

    def split(self, word: str) -> tuple[int, ...]:
        """Numbers of the longest pieces from left to right; none when the vocabulary cannot spell the word.

        >>> vectors = packaged()
        >>> [vectors.pieces[number] for number in vectors.split("tamisage")]
        ['tam', '##isa', '##ge']
        """
        numbers = self._numbers
        if word in numbers:
            return (numbers[word],)
        plain = "".join(c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn")
        found: list[int] = []
        start = 0
        while start < len(plain):
            mark = "##" if start else ""
            ends = range(min(len(plain), start + 20), start, -1)
            end = next((end for end in ends if mark + plain[start:end] in numbers), 0)
            if not end:
                return ()
            found.append(numbers[mark + plain[start:end]])
            start = end
        return tuple(found)

    def _summed(self, word: str) -> bytes:
        chosen = list(self.split(word))
        vector: Vectors = self.scales[chosen] @ self.codes[chosen].astype(np.float32)
        return vector.tobytes()

    def _ranked(self, word: str) -> float:
        chosen = self.split(word)
        return float(np.log1p(chosen[0]) / np.log1p(len(self.pieces))) if len(chosen) == 1 else 1.0


def worth(in_pool: NDArray[np.float64], in_english: NDArray[np.float64]) -> NDArray[np.float64]:
    """What words of a query count: their rarity in the pool, 0..1, and in English at large (`WordVectors.rarity`).

    A pool was found for the query's rare words, so nearly all of it holds them and it takes them for common: English
    has the larger say. Chosen on the training sets of the learned default.

    >>> worth(np.array([0.1, 0.9]), np.array([1.0, 0.4])).round(2).tolist()
    [0.16, 0.2]
    """
    return (0.1 + in_pool) * np.maximum(in_english - 0.2, 0.02)


def unit_length(rows: NDArray[Number]) -> NDArray[Number]:
    """Vectors along the last axis at length 1; zeros stay zeros.

    >>> unit_length(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    norms = np.sqrt(np.einsum("...i,...i->...", rows, rows))[..., None]
    made: NDArray[Number] = rows / np.where(norms > 0, norms, norms.dtype.type(1))
    return made


def lengths(rows: Vectors) -> Vectors:
    """Of the vectors along the last axis; never 0, to be divided by."""
    made: Vectors = np.maximum(np.sqrt(np.einsum("...i,...i->...", rows, rows)), 1e-9)
    return made


@lru_cache(maxsize=1)
def packaged() -> WordVectors:
    """The vectors in the package, read at the first use (some 30,000 pieces, a few megabytes)."""
    with files("tamis.text").joinpath(FILE).open("rb") as file, np.load(file, allow_pickle=False) as data:
        pieces = bytes(data["pieces"]).decode("utf-8").split("\n")
        return WordVectors(pieces, data["codes"], data["scales"].astype(np.float32))
