"""Words of a passage that the query picks out, for prompts that show them as hints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis.text.normal import fold
from tamis.text.terms import STOPWORDS, terms, words

if TYPE_CHECKING:
    from tamis.text.vectors import WordVectors

MOST = 15
"""Hints of a passage; the authors took 10 to 20."""


def hints(query: str, passage: str, vectors: WordVectors | None = None) -> list[str]:
    """Up to 15 words of `passage` that are nearest in meaning to a word of `query`, the nearest first, each once.

    Left out: the query's own words (a model that reads them has only to copy, and every passage scores high), stop
    words, whatever is not of letters alone, and words near to none of the query's. Nearness is the cosine of `vectors`,
    by default those in the package, as no call tells a language model's input embeddings. Source: Q-PEFT-R (Peng et
    al., 2024), which takes those embeddings and knows no bound.

    >>> hints("how tall is Everest?", "Mount Everest has a height of 8849 metres. Bread is baked.")
    ['height']
    """
    own = set(terms(query))
    asked = _content(query)
    found = [word for word in _content(passage) if own.isdisjoint(terms(word))]
    if not asked or not found:
        return []
    from tamis.text.vectors import UNLIKE, packaged

    vectors = vectors or packaged()
    nearness = (vectors.unit_length(found) @ vectors.unit_length(asked).T).max(axis=1)
    ranked = sorted(range(len(found)), key=lambda place: -nearness[place])
    return [found[place] for place in ranked[:MOST] if nearness[place] > UNLIKE]


def _content(text: str) -> list[str]:
    """Lower-case words of letters, each once, without stop words and single letters."""
    found = dict.fromkeys(map(fold, words(text)))
    return [word for word in found if len(word) > 1 and word.isalpha() and word not in STOPWORDS]
