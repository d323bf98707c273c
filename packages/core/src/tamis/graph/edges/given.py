"""A graph of each document that the user brings: AMR, triples, entities."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, Literal

import numpy as np

from tamis.graph.edges.base import Degree, Edges, Weight
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency, symmetric
from tamis.pool.terms import Incidence
from tamis.text.terms import terms

QUESTION = "question"
MOST = 1_000
"""Candidates that one node or edge joins: each of them has a pair with each other."""
SENSE = re.compile(r"-\d+$")


@part
class Given(Edges):
    """Documents whose own graphs have nodes (`common="nodes"`) or edges (`common="edges"`) in common; how many.

    The metadata field `field` of a candidate holds `{"nodes": [label, ...], "edges": [[from, relation, to], ...]}` with
    indices into `nodes`: the stored form of the AMR graphs of G-RAG, and of any triples. Two nodes are the same when
    their labels are. The node `question`, nodes with a label made of words of the query, and edges between such nodes
    are left out: they are in every document (`query_concepts` true: they count like others). Of each candidate's
    edges the `degree` heaviest stay. What more than 1,000 candidates have joins none of them.

    Source: G-RAG (Dong et al., 2024), whose two edge features these are.
    """

    field: str = "graph"
    common: Literal["nodes", "edges"] = "nodes"
    query_concepts: bool = False
    degree: Degree = 100
    weight: Weight = 1.0

    def of(self, pool: Pool) -> Adjacency:
        asked = set() if self.query_concepts else {*pool.query_terms, QUESTION}
        numbers: dict[Hashable, int] = {}
        rows: list[int] = []
        cols: list[int] = []
        for place, candidate in enumerate(pool.candidates):
            for thing in set(self._things(candidate.metadata.get(self.field), asked)):
                rows.append(place)
                cols.append(numbers.setdefault(thing, len(numbers)))
        found = Incidence.of(len(pool), len(numbers), np.array(rows, dtype=np.int64), np.array(cols, dtype=np.int64))
        found = found.only(found.spread <= MOST)
        return symmetric(found.products(np.ones(len(found.rows))).nearest(self.degree))

    def _things(self, value: Any, asked: set[str]) -> Iterator[Hashable]:
        labels, edges = read_graph(value)
        counted = [not asked or not asked.issuperset(terms(SENSE.sub("", label))) for label in labels]
        if self.common == "nodes":
            yield from (label for label, counts in zip(labels, counted, strict=True) if counts)
        else:
            yield from ((labels[a], how, labels[b]) for a, how, b in edges if counted[a] or counted[b])


def read_graph(value: Any) -> tuple[list[str], list[tuple[int, str, int]]]:
    """The node labels of a document's graph and its edges; what has not the described form is left out."""
    if not isinstance(value, Mapping):
        return [], []
    labels = [str(label) for label in _listed(value.get("nodes"))]
    edges = []
    for edge in _listed(value.get("edges")):
        if isinstance(edge, (list, tuple)) and len(edge) == 3:
            start, relation, end = edge
            if all(isinstance(place, int) and 0 <= place < len(labels) for place in (start, end)):
                edges.append((start, str(relation), end))
    return labels, edges


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, (list, tuple)) else ()
