"""The network of HybRank: candidates are compared by whom they resemble."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from tamis.graph.networks.attention import block, divided, initial_block
from tamis.graph.networks.base_network import Network, Weights, unchanged, unit_vector
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Floats
from tamis.pool.terms import Tokens
from tamis.values.scale import COSINE, Scale

K1, B = 0.9, 0.4
DENSE, LEXICAL = 0.2, 100.0
"""Temperatures of the softmax over a row of cosines and of BM25 scores."""


@dataclass(frozen=True, eq=False)
class SimilarityInputs:
    """`similarities`: of the query (first) and n candidates with the anchors, (1 + n) x anchors x 2."""

    similarities: NDArray[np.float32]


@part
class HybRank(Network):
    """HybRank: each text is the row of its similarities, dense and lexical, to the same few anchor candidates.

    A transformer over texts, for each anchor apart, lets candidates see one another; a second one, over anchors, makes
    one vector of each row; the score is the cosine of the query's vector with the candidate's. 0.15 million weights.

    The `anchors` candidates nearest to the query are the anchors (100 in the paper, which takes three times as long as
    32). Scale: `cosine`. Source: Zhang et al., 2023; BM25 here is that of the pool. Untrained, it knows
    nothing: unlike `GRAG` it does not start from the embedder's order.
    """

    anchors: PositiveInt = 32
    hidden: PositiveInt = 64
    layers: PositiveInt = 2
    heads: PositiveInt = 8

    temperature: ClassVar[float] = 0.07
    learning_rate: ClassVar[float] = 1e-3
    scale: ClassVar[Scale] = COSINE

    def __post_init__(self) -> None:
        divided(self.hidden, self.heads, "HybRank")

    def read(self, pool: Pool, query: Floats) -> SimilarityInputs:
        rows = np.concatenate([unit_vector(query)[None], pool.vectors])
        dense = rows @ rows[1:].T
        chosen = np.argsort(-dense[0], kind="stable")[: self.anchors]
        lexical = bm25([pool.query.text, *(candidate.full_text for candidate in pool.candidates)], chosen)
        both = np.stack([_spread(dense[:, chosen], DENSE), _spread(lexical, LEXICAL)], axis=-1)
        return SimilarityInputs(both.astype(np.float32))

    def initial(self, dims: int, rng: np.random.Generator) -> dict[str, Floats]:
        weights = {"in": rng.standard_normal((2, self.hidden)), "in.bias": np.zeros(self.hidden)}
        weights |= {name: 0.1 * rng.standard_normal(self.hidden) for name in ("query", "summary")}
        for layer in range(self.layers):
            weights |= initial_block(f"texts.{layer}", self.hidden, rng)
        return weights | initial_block("anchors", self.hidden, rng)

    def scores(
        self, weights: Weights, inputs: SimilarityInputs, xp: Any = np, drop: Callable[[Any], Any] = unchanged
    ) -> Any:
        cells = xp.swapaxes(inputs.similarities @ weights["in"] + weights["in.bias"], 0, 1)
        cells = xp.concatenate([cells[:, :1] + weights["query"], cells[:, 1:]], 1)
        for layer in range(self.layers):
            cells = block(xp, weights, f"texts.{layer}", cells, self.heads, drop)
        rows = xp.swapaxes(cells, 0, 1)
        summary = xp.zeros_like(rows[:, :1]) + weights["summary"]
        vectors = block(xp, weights, "anchors", xp.concatenate([summary, rows], 1), self.heads, drop)[:, 0]
        vectors = vectors / xp.sqrt((vectors * vectors).sum(-1, keepdims=True) + 1e-12)
        return vectors[1:] @ vectors[0]


def bm25(texts: list[str], anchors: Any) -> Floats:
    """Each text as a query for the anchors: indices into `texts[1:]`, which are the collection. Texts x anchors."""
    occurrences = Tokens.of(texts).incidence
    documents = occurrences.rows > 0
    size = len(texts) - 1
    spread = np.bincount(occurrences.cols[documents], minlength=occurrences.features)
    rarity = np.log1p((size - spread + 0.5) / (spread + 0.5))
    lengths = np.bincount(occurrences.rows, occurrences.counts, minlength=len(texts))
    damping = K1 * (1 - B + B * lengths / (lengths[1:].mean() or 1.0))
    gain = rarity[occurrences.cols] * occurrences.counts * (K1 + 1) / (occurrences.counts + damping[occurrences.rows])
    weights = np.zeros((len(texts), occurrences.features))
    weights[occurrences.rows, occurrences.cols] = gain
    counts = np.zeros_like(weights)
    counts[occurrences.rows, occurrences.cols] = occurrences.counts
    return counts @ weights[np.asarray(anchors, dtype=np.int64) + 1].T


def _spread(scores: Floats, temperature: float) -> Floats:
    """Softmax of each row, then stretched to -1..1; a row without differences becomes 0."""
    shares = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    low, high = shares.min(axis=1, keepdims=True), shares.max(axis=1, keepdims=True)
    return np.divide(2 * shares - low - high, high - low, out=np.zeros_like(shares), where=high > low)
