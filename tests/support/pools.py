"""Small pools of candidates that share words, titles, links and vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tamis import Candidate, Query
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency

QUERY = "who wrote the novel Emma?"
words = st.sampled_from("Emma Austen novel Bath Persuasion rain seaside 1817 the of Über 日本語 a-b".split())
texts = st.lists(st.lists(words, max_size=8).map(" ".join), max_size=3).map(". ".join)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "source": st.sampled_from(["a", "b", 3]),
        "chunk": st.sampled_from([0, 1, "2", 3.0, "x", None]),
        "links": st.lists(st.integers(0, 12), max_size=4),
    },
)
numbers = st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0])
candidates = st.builds(
    Candidate,
    texts,
    id=st.integers(0, 12),
    title=st.sampled_from([None, "", "Emma", "Jane Austen (writer)", "Bath", "Emma"]),
    score=st.floats(-100, 100),
    metadata=metadata,
    vector=st.one_of(st.none(), st.tuples(numbers, numbers, numbers)),
)
pools = st.lists(candidates, max_size=12)


def pool(found: Any, query: str = QUERY) -> Pool:
    return Pool(Query(query), [Candidate.of(candidate) for candidate in found])


def shuffled(found: list[Any], order: NDArray[np.int64]) -> list[Any]:
    return [found[place] for place in order]


def matrix(cells: list[float]) -> Any:
    n = round(len(cells) ** 0.5)
    full = np.array(cells).reshape(n, n)
    np.fill_diagonal(full, 0.0)
    return full


def made(full: Any) -> Adjacency:
    rows, cols = np.nonzero(full)
    order = np.random.default_rng(0).permutation(len(rows))
    return Adjacency.of(len(full), rows[order], cols[order], full[rows, cols][order])


weights = st.sampled_from([0.0, 0.0, 0.0, 0.25, 0.5, 0.5, 1.0, 2.0])
squares: st.SearchStrategy[Any] = st.integers(0, 9).flatmap(
    lambda n: st.lists(weights, min_size=n * n, max_size=n * n).map(matrix)
)
