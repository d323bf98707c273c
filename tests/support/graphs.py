"""Pools whose graph is known, and an embedder that counts words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from tamis.evaluate import Dataset, Question
from tamis.graph import Edges
from tamis.graph.networks.base_network import Network
from tamis.graph.networks.network import GRAG
from tamis.graph.networks.trained import Trained
from tamis.models import Function
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency
from tamis.values.calls import Embed
from tamis.values.ranking import Candidate, Query


@part
class Pairs(Edges):
    """Exactly these edges, each both ways."""

    pairs: tuple[tuple[int, int], ...] = ()
    weight: float = 1.0

    def of(self, pool: Pool) -> Adjacency:
        both = [*self.pairs, *((b, a) for a, b in self.pairs)]
        rows, cols = np.array(both, dtype=np.int64).reshape(-1, 2).T
        return Adjacency.of(len(pool), rows, cols, np.ones(len(rows)))


def pool_of(vectors: Any, texts: Sequence[str] | None = None) -> Pool:
    """Candidates with these vectors and, by default, texts that have nothing in common."""
    named = texts or [f"word{number}" for number in range(len(vectors))]
    return Pool(Query("question"), [Candidate(text) for text in named], np.asarray(vectors, dtype=float))


def word_counter(dims: int = 64, name: str = "words") -> Function:
    """Embeds a text as the counts of its words w0 .. w<dims - 1>."""

    def embed(call: Embed) -> list[float]:
        words = call.text.split()
        return [float(words.count(f"w{number}")) for number in range(dims)]

    return Function(embed, "embed", name=name)


def trained(
    network: Network = GRAG(),  # noqa: B008
    *,
    dims: int = 8,
    embedder: str = "words",
    moved: float = 0.5,
) -> Trained:
    """A network as if training had moved all its weights by about `moved`."""
    rng = np.random.default_rng(0)
    weights = {n: v + moved * rng.standard_normal(v.shape) for n, v in network.initial(dims, rng).items()}
    return Trained(network, weights, embedder, dims, {"data": ["tiny"], "seed": 0})


def trained_file() -> str:
    """Path of a trained network, for where a file must be there."""
    path = Path(mkdtemp(), "grag.npz")
    trained().write(path)
    return str(path)


def bridges(queries: int = 40, seed: int = 0, name: str = "bridges") -> Dataset:
    """A set that cannot be ranked without the graph.

    Of each query's passages one (the bridge) shares a word with the query. Two more are relevant: they share a word with
    the bridge and none with the query. Twelve others share words among themselves only. Words are drawn anew for each
    query, so that none means anything.
    """
    rng = np.random.default_rng(seed)
    corpus: dict[str, Candidate] = {}
    questions, qrels, run = {}, {}, {}
    for number in range(queries):
        asked, shared, *others = (f"w{word}" for word in rng.permutation(64))
        texts = [f"{asked} {shared} {others[0]}", f"{shared} {others[1]}", f"{shared} {others[2]}"]
        texts += [f"{others[3 + place // 3]} {others[10 + place]}" for place in range(12)]
        ids = [f"{number}-{place}" for place in range(len(texts))]
        corpus |= {identity: Candidate(text, identity) for identity, text in zip(ids, texts, strict=True)}
        query = f"q{number}"
        questions[query] = Question(query, Query(asked))
        qrels[query] = dict.fromkeys(ids[:3], 1)
        run[query] = tuple((ids[place], 0.0) for place in rng.permutation(len(ids)))
    return Dataset(name, questions, corpus, qrels, run)


def chunked(queries: int = 40, seed: int = 0) -> Dataset:
    """Four documents a query, three chunks each, of random words; the first chunk of each is relevant."""
    rng = np.random.default_rng(seed)
    corpus: dict[str, Candidate] = {}
    questions, qrels, run = {}, {}, {}
    for number in range(queries):
        query = f"q{number}"
        ids = [f"{number}-{place}" for place in range(12)]
        for place, identity in enumerate(ids):
            text = " ".join(f"w{word}" for word in rng.integers(64, size=4))
            corpus[identity] = Candidate(text, identity, metadata={"source": place // 3, "chunk": place % 3})
        questions[query] = Question(query, Query(f"w{rng.integers(64)}"))
        qrels[query] = dict.fromkeys(ids[::3], 1)
        run[query] = tuple((ids[place], 0.0) for place in rng.permutation(12))
    return Dataset("chunked", questions, corpus, qrels, run)
