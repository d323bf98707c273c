"""tamis: the reranking layer for RAG. Which passages are good, in which order, and how many the generator should see.

>>> import tamis
>>> tamis.rerank("parse an ISO date", ["draw a circle", "parse a date given in ISO format"]).kept[0].text
'parse a date given in ISO format'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tamis.api import arerank, default, rerank
    from tamis.config import from_yaml, json_schema, load, presets
    from tamis.criteria import Criterion, MultiCriteria, Rebel
    from tamis.engine import Cancellation, Engine
    from tamis.errors import TamisError
    from tamis.graph.graph import Graph
    from tamis.graph.refinement import Refinement
    from tamis.graph.trained_graph import TrainedGraph
    from tamis.learned.stage import Learned
    from tamis.rankers.cross_encoder import CrossEncoder
    from tamis.rankers.embedding import Embedding
    from tamis.rankers.first_stage import FirstStage
    from tamis.rankers.fuse import Fuse
    from tamis.rankers.groupwise import Groupwise
    from tamis.rankers.late_interaction import LateInteraction
    from tamis.rankers.lexical import Lexical
    from tamis.rankers.listwise import Listwise
    from tamis.rankers.pairwise import Pairwise
    from tamis.rankers.pointwise import Pointwise
    from tamis.rankers.pseudo_query import PseudoQuery
    from tamis.rankers.query_likelihood import QueryLikelihood
    from tamis.rankers.setwise import Setwise, Tournament
    from tamis.ranking import Candidate, Query, Ranking
    from tamis.reranker import Reranker
    from tamis.select.abstain import Abstain
    from tamis.select.budget import Knapsack, TokenBudget
    from tamis.select.calibration import Calibrate
    from tamis.select.cover import Cover
    from tamis.select.cut import Deduplicate, Threshold, TopN
    from tamis.select.diversify import DPP, MMR
    from tamis.select.dynamic_k import DynamicK
    from tamis.select.dynamic_rag import DynamicRAG
    from tamis.select.facets import Facets
    from tamis.select.near_duplicates import NearDuplicates
    from tamis.select.place import Place
    from tamis.stage import Pipeline, Stage

_WHERE = {
    "Abstain": "select.abstain",
    "Calibrate": "select.calibration",
    "Cancellation": "engine",
    "Candidate": "ranking",
    "Cover": "select.cover",
    "Criterion": "criteria",
    "CrossEncoder": "rankers.cross_encoder",
    "DPP": "select.diversify",
    "Deduplicate": "select.cut",
    "DynamicK": "select.dynamic_k",
    "DynamicRAG": "select.dynamic_rag",
    "Embedding": "rankers.embedding",
    "Engine": "engine",
    "Facets": "select.facets",
    "FirstStage": "rankers.first_stage",
    "Fuse": "rankers.fuse",
    "Graph": "graph.graph",
    "Groupwise": "rankers.groupwise",
    "Knapsack": "select.budget",
    "LateInteraction": "rankers.late_interaction",
    "Learned": "learned.stage",
    "Lexical": "rankers.lexical",
    "Listwise": "rankers.listwise",
    "MMR": "select.diversify",
    "MultiCriteria": "criteria",
    "NearDuplicates": "select.near_duplicates",
    "Pairwise": "rankers.pairwise",
    "Pipeline": "stage",
    "Place": "select.place",
    "Pointwise": "rankers.pointwise",
    "PseudoQuery": "rankers.pseudo_query",
    "Query": "ranking",
    "QueryLikelihood": "rankers.query_likelihood",
    "Ranking": "ranking",
    "Rebel": "criteria",
    "Refinement": "graph.refinement",
    "Reranker": "reranker",
    "Setwise": "rankers.setwise",
    "Stage": "stage",
    "TamisError": "errors",
    "Threshold": "select.cut",
    "TokenBudget": "select.budget",
    "TopN": "select.cut",
    "TrainedGraph": "graph.trained_graph",
    "Tournament": "rankers.setwise",
    "arerank": "api",
    "default": "api",
    "from_yaml": "config",
    "json_schema": "config",
    "load": "config",
    "presets": "config",
    "rerank": "api",
}

__all__ = [
    "DPP",
    "MMR",
    "Abstain",
    "Calibrate",
    "Cancellation",
    "Candidate",
    "Cover",
    "Criterion",
    "CrossEncoder",
    "Deduplicate",
    "DynamicK",
    "DynamicRAG",
    "Embedding",
    "Engine",
    "Facets",
    "FirstStage",
    "Fuse",
    "Graph",
    "Groupwise",
    "Knapsack",
    "LateInteraction",
    "Learned",
    "Lexical",
    "Listwise",
    "MultiCriteria",
    "NearDuplicates",
    "Pairwise",
    "Pipeline",
    "Place",
    "Pointwise",
    "PseudoQuery",
    "Query",
    "QueryLikelihood",
    "Ranking",
    "Rebel",
    "Refinement",
    "Reranker",
    "Setwise",
    "Stage",
    "TamisError",
    "Threshold",
    "TokenBudget",
    "TopN",
    "Tournament",
    "TrainedGraph",
    "arerank",
    "default",
    "from_yaml",
    "json_schema",
    "load",
    "presets",
    "rerank",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tamis' has no attribute {name!r}")
    return getattr(import_module(f"tamis.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
