"""The graph engine: edges between candidates, and what they do to scores and vectors."""

from tamis.graph.channels import Channel, channels
from tamis.graph.edges import ConceptPairs, Concepts, Edges, Given, Mentions, Neighbours, Structure
from tamis.graph.graph import Graph
from tamis.graph.pool import Pool
from tamis.graph.sparse import Adjacency
from tamis.graph.spread import spread

__all__ = [
    "Adjacency",
    "Channel",
    "ConceptPairs",
    "Concepts",
    "Edges",
    "Given",
    "Graph",
    "Mentions",
    "Neighbours",
    "Pool",
    "Structure",
    "channels",
    "spread",
]
