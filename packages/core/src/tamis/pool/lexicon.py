"""What the words of texts are called in numbers, remembered from one pool to the next."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from tamis.pool.sparse import Ints
from tamis.processes import renewed_in_child
from tamis.text.terms import terms

CHARACTERS = 4_000_000
"""A lexicon that holds this much text gives way to a new one."""


class Lexicon:
    """The terms of every chunk of text met so far, a chunk being the text between white spaces.

    A text is so read as fast as it splits. Grows while it is used; safe to share between threads. `terms[i]` is term i.
    """

    def __init__(self) -> None:
        self.terms: list[str] = []
        self.characters = 0
        self._numbers: dict[str, int] = {}
        self._chunks = _Numbers(self)
        self._lock = threading.Lock()
        self._members: list[int] = []
        self._ends: list[int] = []
        self._arrays = np.zeros(1 << 12, dtype=np.int64), np.zeros(1 << 12, dtype=np.int64)
        self._copied = 0, 0
        renewed_in_child(self, Lexicon._renew)

    def _renew(self) -> None:
        """In a forked child: the lock is free, and what another thread was half way through learning is undone."""
        self._lock = threading.Lock()
        del self._ends[len(self._chunks) :]
        del self._members[self._ends[-1] if self._ends else 0 :]
        if len(self._numbers) > len(self.terms):
            self._numbers = {term: number for term, number in self._numbers.items() if number < len(self.terms)}

    def read(self, chunks: Sequence[str]) -> tuple[Ints, Ints]:
        """The numbers of the terms of all chunks, one after the other, and which chunk each is from."""
        numbers = np.fromiter(map(self._chunks.__getitem__, chunks), np.int64, len(chunks))
        members, ends = self._known()
        last = ends[numbers]
        length = last - np.where(numbers > 0, ends[numbers - 1], 0)
        until = np.cumsum(length)
        chunk = np.repeat(np.arange(len(chunks)), length)
        return members[np.arange(len(chunk)) + (last - until)[chunk]], chunk

    def learn(self, chunk: str) -> int:
        """The number of a chunk, a new one for a new chunk."""
        with self._lock:
            if chunk in self._chunks:
                return dict.__getitem__(self._chunks, chunk)
            self._members.extend(map(self._number, terms(chunk)))
            self._ends.append(len(self._members))
            self.characters += len(chunk)
            self._chunks[chunk] = number = len(self._chunks)
            return number

    def number(self, term: str) -> int:
        """The number of a term, -1 for one never met."""
        return self._numbers.get(term, -1)

    def _number(self, term: str) -> int:
        number = self._numbers.setdefault(term, len(self.terms))
        if number == len(self.terms):
            self.terms.append(term)
        return number

    def _known(self) -> tuple[Ints, Ints]:
        """Members of all chunks and where those of each end: arrays of which no used cell ever changes."""
        with self._lock:
            grown = []
            for array, copied, held in zip(self._arrays, self._copied, (self._members, self._ends), strict=True):
                if len(held) > len(array):
                    array = np.concatenate([array, np.zeros(len(held), dtype=np.int64)])
                array[copied : len(held)] = held[copied:]
                grown.append(array)
            self._arrays = grown[0], grown[1]
            self._copied = len(self._members), len(self._ends)
            return self._arrays


class _Numbers(dict[str, int]):
    """Chunk to number; a chunk that is not there is learnt."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    def __missing__(self, chunk: str) -> int:
        return self._lexicon.learn(chunk)


_current = Lexicon()


def lexicon() -> Lexicon:
    """The one in use."""
    global _current
    if _current.characters > CHARACTERS:
        _current = Lexicon()
    return _current
