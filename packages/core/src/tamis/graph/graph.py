"""Rerank by the graph of the candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import PositiveInt

from tamis.graph.channels import Channel, channels, names
from tamis.graph.edges.base import EdgesRef
from tamis.graph.edges.mentions import Mentions
from tamis.graph.edges.neighbours import COMPARED, Neighbours
from tamis.graph.edges.structure import Structure
from tamis.graph.spread import Method, spread
from tamis.parts.numbers import Share
from tamis.parts.options import refuse
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency
from tamis.stage.base import Stage
from tamis.stage.scoring import Limit
from tamis.stage.vectors import vectors
from tamis.values.answers import Failure
from tamis.values.calls import Asking, Plan
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Neighbour, Notice, Ranked, Ranking, Why
from tamis.values.scale import FUSION, ORDINAL, UNKNOWN, Scale

SHOWN = 3
"""How many of the neighbours that lifted a candidate are listed."""


@part
class Graph(Stage):
    """Let candidates that belong together raise one another. No model, unless `edges` compare embeddings.

    Args:
        edges: kinds of edges, see `tamis.graph.edges`. Default: mentions of titles, mutual nearest neighbours by
            words other than the query's, ids under the metadata key `links`.
        method: what the edges do to the scores.
            `"lift"`: a candidate comes closer to its best neighbour; none loses. For evidence that only makes sense
            together, and safe where one passage is the answer.
            `"propagation"`: each takes a part of its score from its neighbours; those among bad ones lose.
            `"pagerank"`: lifted by where a walk from the good candidates ends (personalised PageRank).
            `"anchors"`: similar to what the query is similar to (HybRank's representation).
        alpha: how much neighbours count, 0 (not at all) to 1; default: `tamis.graph.spread.ALPHA`.
        seeds: only the best N candidates raise others; default: all.
        depth: how many candidates from the top take part.
        model: embeds the candidates, for edges by vectors; default: they bring their vectors.
        given_vectors: embed only those that bring none.

    The scores stay on the incoming scale, between the smallest and the largest that came in, and a candidate without
    edges keeps its own: with no edges nothing changes. Where there are none to use (the retriever gave none, or they
    are `ordinal`), place i of n counts 1 - i / n, on the scale `fusion`. A candidate without a score among scored ones
    stays where it is, as do all where the stage in front could not judge any.
    `Ranked.lifted_by` says which candidate raised which, by how much of the score, and over which edges.

    Sources: G-RAG (Dong et al., 2024) for the document graph; Diaz, 2005, Kurland and Lee, 2005, HybRank (Zhang et al.,
    2023) for the methods.

    >>> texts = [{"text": "Emma, by Jane Austen", "score": 9.0}, {"text": "Emma Stone", "score": 2.0}]
    >>> texts.append({"text": "Born 1775 in Steventon", "title": "Jane Austen", "score": 1.0})
    >>> Graph().rerank("When was the author of Emma born?", texts).positions
    (0, 2, 1)
    """

    edges: tuple[EdgesRef, ...] = (Mentions(), Neighbours(), Structure(source=None, chunk=None, weight=0.5))
    method: Method = "lift"
    alpha: Share | None = None
    seeds: PositiveInt | None = None
    depth: Limit = None
    model: ModelRef = None
    given_vectors: bool = False

    drops: ClassVar[tuple[Why, ...]] = ()

    def __post_init__(self) -> None:
        if self.model is not None:
            require(self.model, "embed", "Graph")
            if not any(kind.uses_vectors for kind in self.edges):
                refuse(self, ["model"], "with edges that compare no vectors", "add edges by vectors")
        elif self.given_vectors:
            refuse(self, ["given_vectors"], "without a model: there are no other vectors", "give a model")

    def leaves(self, before: Scale | None) -> Scale | None:
        return FUSION if before == ORDINAL else None if before == UNKNOWN else before

    def plan(self, ranking: Ranking) -> Plan:
        head, scores, scale = usable(ranking, ranking.kept[: self.depth])
        pool, failures = yield from self._pool(ranking, head)
        graph = channels(self.edges, pool)
        found = spread(scores, graph, self.method, self.alpha, self.seeds)
        by = lifted_by(graph, found.shares, head)
        new = {
            old.position: replace(old, score=score, lifted_by=lifts)
            for old, score, lifts in zip(head, found.scores.tolist(), by, strict=True)
        }
        judged = [new.get(ranked.position) or replace(ranked, score=None) for ranked in ranking.kept]
        notices = [*unjoined(head, failures), *uncompared("Graph", head, any(kind.uses_vectors for kind in self.edges))]
        return ranking.scored(judged, scale).warn(*notices)

    def _pool(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[tuple[Pool, list[Failure | None]]]:
        candidates = [ranked.candidate for ranked in head]
        if not any(kind.uses_vectors for kind in self.edges) or not head:
            return Pool(ranking.query, candidates), [None] * len(head)
        _, found = yield from vectors(self.model, None, head, self.given_vectors)
        failures = [vector if isinstance(vector, Failure) else None for vector in found]
        usable = [None if isinstance(vector, Failure) else vector for vector in found]
        return Pool(ranking.query, candidates, usable), failures


def usable(ranking: Ranking, head: Sequence[Ranked]) -> tuple[list[Ranked], list[float], Scale]:
    """Those of `head` that have a score, the scores, and their scale; by rank where the scores say nothing."""
    scored = [(ranked, ranked.score) for ranked in head if ranked.score is not None]
    if ranking.scale != ORDINAL and (scored or ranking.scale != UNKNOWN):
        return [ranked for ranked, _ in scored], [score for _, score in scored], ranking.scale
    return list(head), [1.0 - place / len(head) for place in range(len(head))], FUSION


def uncompared(stage: str, head: Sequence[Ranked], by_vectors: bool) -> list[Notice]:
    """A notice where there are too many candidates to compare all their vectors."""
    if not by_vectors or len(head) <= COMPARED:
        return []
    said = f"{stage}: the vectors of the first {COMPARED:,} of {len(head):,} candidates are compared with one another"
    return [
        Notice(f"{said}; the others count by themselves", tuple(r.position for r in head[COMPARED:]), degraded=False)
    ]


def unjoined(head: Sequence[Ranked], failures: Sequence[Failure | None]) -> list[Notice]:
    """A notice for each reason why candidates have no vector."""
    return [
        Notice(
            f"Graph: {len(lost)} of {len(head)} candidates have no vector ({failure}) and no edges by vectors",
            tuple(ranked.position for ranked in lost),
        )
        for failure in dict.fromkeys(failure for failure in failures if failure is not None)
        if (lost := [ranked for ranked, why in zip(head, failures, strict=True) if why == failure])
    ]


def lifted_by(graph: Sequence[Channel], shares: Adjacency, head: Sequence[Ranked]) -> list[tuple[Neighbour, ...]]:
    """For each of `head` those that raised its score most, and by which channel."""
    order = np.lexsort((shares.cols, -shares.weights, shares.rows))
    order = order[np.arange(len(order)) - shares.starts[shares.rows] < SHOWN]
    rows, cols, weights = shares.rows[order], shares.cols[order], shares.weights[order]
    by: list[list[Neighbour]] = [[] for _ in head]
    told = zip(rows.tolist(), cols.tolist(), weights.tolist(), names(graph, rows, cols), strict=True)
    for row, col, weight, name in told:
        by[row].append(Neighbour(head[col].position, weight, name))
    return [tuple(neighbours) for neighbours in by]
