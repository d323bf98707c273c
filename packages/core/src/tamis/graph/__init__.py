"""The graph engine: edges between candidates, and what they do to scores and vectors."""

from tamis.graph.channels import Channel, channels
from tamis.graph.edges import ConceptPairs, Concepts, Edges, Given, Mentions, Neighbours, Structure
from tamis.graph.graph import Graph
from tamis.graph.methods.expansion import AlphaQE, Rocchio
from tamis.graph.methods.smoothing import Smoothing
from tamis.graph.methods.superglobal import SuperGlobal
from tamis.graph.pool import Pool
from tamis.graph.refinement import Refinement
from tamis.graph.sparse import Adjacency
from tamis.graph.spread import spread

__all__ = [
    "Adjacency",
    "AlphaQE",
    "Channel",
    "ConceptPairs",
    "Concepts",
    "Edges",
    "Given",
    "Graph",
    "Mentions",
    "Neighbours",
    "Pool",
    "Refinement",
    "Rocchio",
    "Smoothing",
    "Structure",
    "SuperGlobal",
    "channels",
    "spread",
]
