"""Joining a large pool takes memory for its words and its edges, never for all pairs of candidates."""

from __future__ import annotations

import importlib
import random
import tracemalloc
from collections import Counter
from functools import cache

import pytest

from tamis import Candidate, Graph, Query, Refinement, Stage
from tamis.graph import ConceptPairs, Concepts, Edges, Given, Neighbours, Smoothing, SuperGlobal, channels
from tamis.pool import sparse, terms
from tamis.pool.pool import Pool
from tamis.pool.sparse import Floats, Ints, added

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


@pytest.mark.parametrize("kinds", [(Neighbours(),), (Concepts(),), (ConceptPairs(),)], ids=["near", "words", "pairs"])
def test_joining_takes_time_for_what_documents_have_in_common_and_never_for_all_pairs(
    kinds: tuple[Edges, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted: products of two documents' values, and cells of the matrix that are held."""
    work = Counter[str]()

    def counted(cells: Ints, amounts: Floats, size: int) -> tuple[Ints, Floats]:
        work["products"] += len(cells)
        work["cells"] += size if size <= 16 * len(cells) else len(cells)
        return added(cells, amounts, size)

    monkeypatch.setattr(terms, "added", counted)
    monkeypatch.setattr(sparse, "WHOLE", 0)
    done = []
    for size in (500, 2_000):
        work.clear()
        channels(kinds, pool(size))
        done.append(dict(work))
    # Words in at most 100 documents join 12 words x 100 documents at most; below that cap work grows with the pool.
    assert done[1]["products"] < 12 * 1.5 * 100 * 2_000
    assert done[1]["cells"] <= 16 * done[1]["products"]


@pytest.mark.parametrize("kinds", [(Neighbours(),), (Concepts(),), (ConceptPairs(),), (Given(),)])
def test_a_large_pool_is_joined_as_a_small_one_is(kinds: tuple[Edges, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(4)
    words = [f"w{draw.randrange(60)}" for _ in range(4_000)]
    found = [
        Candidate(" ".join(words[n * 9 : n * 9 + 14]), title=words[n], metadata={"graph": {"nodes": words[n : n + 4]}})
        for n in range(400)
    ]
    small = channels(kinds, Pool(Query("w1 of w2"), found))
    monkeypatch.setattr(sparse, "WHOLE", 0)
    large = channels(kinds, Pool(Query("w1 of w2"), found))
    for one, other in zip(small, large, strict=True):
        assert len(one.edges) > 20
        assert (one.edges.rows.tolist(), one.edges.cols.tolist()) == (
            other.edges.rows.tolist(),
            other.edges.cols.tolist(),
        )
        assert one.edges.weights == pytest.approx(other.edges.weights, rel=1e-12)


@pytest.mark.parametrize(
    "stage",
    [
        Graph((Neighbours("vectors"),)),
        Refinement(method=Smoothing()),
        Refinement(method=SuperGlobal()),
    ],
    ids=["graph", "smoothing", "super_global"],
)
def test_of_very_many_vectors_the_first_are_compared_and_a_notice_says_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("edges.neighbours", "graph", "methods.superglobal"):
        monkeypatch.setattr(importlib.import_module(f"tamis.graph.{module}"), "COMPARED", 30)
    draw = random.Random(1)
    vectors = [tuple(draw.gauss(0, 1) for _ in range(4)) for _ in range(40)]
    found = [{"text": str(n), "score": 1 - n / 40, "vector": vector} for n, vector in enumerate(vectors)]
    query = Query("q", vector=(1.0, 0.0, 0.0, 0.0))
    whole, head = stage.rerank(query, found), stage.rerank(query, found[:30])
    (notice,) = whole.warnings
    assert "the first 30 of 40 candidates are compared" in str(notice)
    assert notice.positions == tuple(range(30, 40))
    assert not head.warnings
    assert not whole.degraded
    if isinstance(stage, Graph):
        kept = {ranked.position: ranked.score for ranked in whole.kept}
        assert all(kept[n] == found[n]["score"] for n in range(30, 40))
        assert any(ranked.lifted_by for ranked in whole.kept)
