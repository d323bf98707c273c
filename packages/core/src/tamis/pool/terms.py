"""Which terms occur in which text of a pool, as index arrays: each word is read once for all callers that count it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from tamis.pool.lexicon import Lexicon, lexicon
from tamis.pool.sparse import Floats, Ints, Products, added, spans, summed

CHARACTERS = 1 << 20
"""How much text is split into words at once: the words of a whole pool take many times the memory of their numbers."""
NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Tokens:
    """The terms of several texts one after the other: term `ids[t]` of text `owners[t]`.

    The terms are those of `tamis.text.terms.terms`, numbered in the order of their first appearance: term i is number
    `used[i]` of the lexicon, and number n of the lexicon is term `here[n]`, -1 where it does not occur.
    """

    size: int
    ids: Ints
    owners: Ints
    used: Ints
    here: Ints
    known: Lexicon

    @classmethod
    def of(cls, texts: Sequence[str]) -> Tokens:
        known = lexicon()
        read = [_numbered(known, texts[first:last]) for first, last in spans(_lengths(texts), CHARACTERS)]
        numbers = np.concatenate([NONE, *(block for block, _ in read)])
        lengths = np.concatenate([NONE, *(length for _, length in read)])
        del read
        used = _in_order_of_appearance(numbers, len(known.terms))
        here = np.full(len(known.terms), -1, dtype=np.int64)
        here[used] = np.arange(len(used))
        for block in _blocks(len(numbers)):
            numbers[block] = here[numbers[block]]
        return cls(len(texts), numbers, np.repeat(np.arange(len(texts)), lengths), used, here, known)

    @property
    def features(self) -> int:
        """How many terms there are."""
        return len(self.used)

    @cached_property
    def words(self) -> list[str]:
        """Term i in letters. Slower than everything else here: to look up a few words use `number`."""
        return [self.known.terms[number] for number in self.used.tolist()]

    @cached_property
    def starts(self) -> Ints:
        """Where each text begins; `size + 1` numbers."""
        return np.searchsorted(self.owners, np.arange(self.size + 1))

    @cached_property
    def incidence(self) -> Incidence:
        return Incidence.of(self.size, self.features, self.owners, self.ids)

    def number(self, word: str) -> int:
        """The number of a term, -1 where it does not occur."""
        place = self.known.number(word)
        return int(self.here[place]) if 0 <= place < len(self.here) else -1

    def numbers(self, words: Sequence[str]) -> Ints:
        """Ids of those of `words` that occur at all, each once, in order."""
        return np.array(sorted(set(map(self.number, words)) - {-1}), dtype=np.int64)

    def marked(self, words: Sequence[str]) -> NDArray[np.bool_]:
        """For each term, whether it is one of `words`."""
        mask = np.zeros(self.features, dtype=bool)
        mask[self.numbers(words)] = True
        return mask


def runs(chosen: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """Indices of all members of the `chosen` runs, where run r is the next `lengths[r]` indices; and whose each is.

    >>> [part.tolist() for part in runs(np.array([1, 0, 1]), np.array([1, 2]))]
    [[1, 2, 0, 1, 2], [0, 0, 1, 2, 2]]
    """
    begins = np.cumsum(lengths) - lengths
    length = lengths[chosen]
    ends = np.cumsum(length)
    owner = np.repeat(np.arange(len(chosen)), length)
    return np.arange(len(owner)) + (begins[chosen] - ends + length)[owner], owner


def phrases(texts: Sequence[str]) -> list[list[str]]:
    """The terms of each text."""
    known = lexicon()
    found = []
    for first, last in spans(_lengths(texts), CHARACTERS):
        numbers, lengths = _numbered(known, texts[first:last])
        words = [known.terms[number] for number in numbers.tolist()]
        found += [words[start:end] for start, end in pairwise([0, *np.cumsum(lengths).tolist()])]
    return found


def _in_order_of_appearance(numbers: Ints, most: int) -> Ints:
    """The different ones of `numbers`, which are below `most`, each where it comes first."""
    first = np.full(most, len(numbers), dtype=np.int64)
    for block in reversed(_blocks(len(numbers))):
        first[numbers[block][::-1]] = np.arange(block.start, block.stop)[::-1]
    return numbers[np.sort(first[first < len(numbers)])]


def _blocks(size: int) -> list[slice]:
    return [slice(start, min(start + CHARACTERS, size)) for start in range(0, size, CHARACTERS)]


def _lengths(texts: Sequence[str]) -> Ints:
    return np.fromiter(map(len, texts), np.int64, len(texts))


def _numbered(known: Lexicon, texts: Sequence[str]) -> tuple[Ints, Ints]:
    """The numbers of the terms of all texts, one after the other, and how many terms each text has."""
    found = [text.split() for text in texts]
    numbers, chunks = known.read(list(chain.from_iterable(found)))
    ends = np.cumsum(np.fromiter(map(len, found), np.int64, len(found)))
    return numbers, np.diff(np.searchsorted(chunks, ends), prepend=0)


@dataclass(frozen=True, eq=False)
class Incidence:
    """How often each of `features` things (terms, concepts, pairs of them) occurs in each of `size` documents.

    `counts[e]` times thing `cols[e]` in document `rows[e]`, by document.
    """

    size: int
    features: int
    rows: Ints
    cols: Ints
    counts: Ints

    @classmethod
    def of(cls, size: int, features: int, rows: Ints, cols: Ints) -> Incidence:
        """From occurrences in any order."""
        width = max(features, 1)
        every = rows * width
        every += cols
        every.sort()
        new = np.ones(len(every), dtype=bool)
        np.not_equal(every[1:], every[:-1], out=new[1:])
        first = np.flatnonzero(new)
        keys = every[first]
        return cls(size, features, keys // width, keys % width, np.diff(first, append=len(every)))

    @cached_property
    def spread(self) -> Ints:
        """In how many documents each thing occurs."""
        return np.bincount(self.cols, minlength=self.features)

    @cached_property
    def rarity(self) -> Floats:
        """Pool-level inverse document frequency, ln(1 + n / df); 0 for what does not occur."""
        return np.log1p(np.divide(self.size, self.spread, out=np.zeros(self.features), where=self.spread > 0))

    def normalised(self, values: Floats) -> Floats:
        """`values`, one number an entry, divided by the length of their document's row; rows of zeros stay zeros."""
        norms = np.sqrt(summed(self.rows, values**2, self.size))[self.rows]
        return np.divide(values, norms, out=np.zeros(len(values)), where=norms > 0)

    def only(self, kept: NDArray[np.bool_]) -> Incidence:
        """Without the things that `kept` does not mark."""
        used = kept[self.cols]
        return Incidence(self.size, self.features, self.rows[used], self.cols[used], self.counts[used])

    def connecting(self, max_share: float, max_documents: int) -> NDArray[np.bool_]:
        """Which things occur in at least 2 documents, and in at most `max_share` of them and `max_documents`."""
        most = max(2.0, min(max_share * self.size, max_documents))
        return (self.spread >= 2) & (self.spread <= most)

    def products(self, values: Floats) -> Products:
        """Products of each document with the others: the sum over the things both have of value times value.

        `values`: one number an occurrence, >= 0. Time is linear in the pairs of occurrences of the same thing, which
        a cap on documents a thing keeps small; memory is one block of rows.
        """
        # A stable argsort of the columns; to sort keys is several times as fast.
        count = max(len(self.cols), 1)
        order = np.sort(self.cols * count + np.arange(len(self.cols))) % count
        documents, weights = self.rows[order], values[order]
        own = np.empty(len(order), dtype=np.int64)
        own[order] = np.arange(len(order))
        begins = np.concatenate([[0], np.cumsum(self.spread)])
        lengths = self.spread[self.cols]
        rows_begin = np.searchsorted(self.rows, np.arange(self.size + 1))

        def pairs(first: int, last: int, begin: Ints) -> tuple[Ints, Floats]:
            """Cells of a block, as row * size + column, and what each shared thing adds to one."""
            mine = slice(rows_begin[first], rows_begin[last])
            length = begins[self.cols[mine] + 1] - begin
            ends = np.cumsum(length)
            posting = np.arange(ends[-1] if len(ends) else 0) + np.repeat(begin - (ends - length), length)
            cell = np.repeat((self.rows[mine] - first) * self.size, length) + documents[posting]
            return cell, np.repeat(values[mine], length) * weights[posting]

        def block(first: int, last: int) -> Floats:
            mine = slice(rows_begin[first], rows_begin[last])
            whole = last - first == self.size
            cell, product = pairs(first, last, own[mine] + 1 if whole else begins[self.cols[mine]])
            found = summed(cell, product, (last - first) * self.size).reshape(last - first, self.size)
            return found + found.T if whole else found

        def cells(first: int, last: int) -> tuple[Ints, Ints, Floats]:
            mine = slice(rows_begin[first], rows_begin[last])
            cell, product = pairs(first, last, begins[self.cols[mine]])
            found, sums = added(cell, product, (last - first) * self.size)
            return found // self.size + first, found % self.size, sums

        costs = np.bincount(self.rows, lengths, minlength=self.size).astype(np.int64)
        return Products(self.size, block, costs, cells)
