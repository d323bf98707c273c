"""Joining a large pool takes memory for its words and its edges, never for all pairs of candidates."""

from __future__ import annotations

import random
import tracemalloc
from functools import cache

import pytest

from tamis import Candidate, Graph, Query
from tamis.graph import ConceptPairs, Concepts, Edges, channels
from tamis.pool.pool import Pool

TIMES, WORDS = 4, 12
HELD = 8_000
"""Most bytes per document. A row of a matrix of all pairs takes 16,000 to 80,000."""


@cache
def pool(size: int) -> Pool:
    """Texts of words that are as frequent as words are (Zipf), already read."""
    rng = random.Random(0)
    words = [f"word{number}" for number in range(20_000)]
    weights = [1 / (number + 5) for number in range(len(words))]
    drawn = rng.choices(words, weights, k=size * WORDS)
    titles = [f"{rng.choice(words)} {rng.choice(words)}" for _ in range(size)]
    found = [Candidate(" ".join(drawn[n * WORDS : (n + 1) * WORDS]), title=title) for n, title in enumerate(titles)]
    made = Pool(Query("word17 of the word230"), found)
    _ = made.tokens.incidence, made.sentences
    return made


def held(size: int, *kinds: Edges) -> tuple[int, int]:
    """The most bytes held at once while joining, and how many edges came of it."""
    joined = pool(size)
    tracemalloc.start()
    try:
        graph = channels(kinds, joined)
        return tracemalloc.get_traced_memory()[1], sum(len(channel.edges) for channel in graph)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [2_000, pytest.param(10_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("kinds", [Graph().edges, (Concepts(),), (ConceptPairs(),)], ids=["default", "words", "pairs"])
def test_thousands_of_documents_are_joined_in_memory_that_is_linear_in_them(
    kinds: tuple[Edges, ...], size: int
) -> None:
    few, _ = held(size // TIMES, *kinds)
    many, edges = held(size, *kinds)
    assert many < HELD * size
    assert many < 1.5 * TIMES * few
    assert edges < 20 * size
