"""Kinds of edges between the candidates of a pool, each one channel of its graph."""

from tamis.graph.edges.base import Edges
from tamis.graph.edges.concepts import Concepts
from tamis.graph.edges.given import Given
from tamis.graph.edges.mentions import Mentions
from tamis.graph.edges.neighbours import Neighbours
from tamis.graph.edges.pairs import ConceptPairs
from tamis.graph.edges.structure import Structure

__all__ = ["ConceptPairs", "Concepts", "Edges", "Given", "Mentions", "Neighbours", "Structure"]
