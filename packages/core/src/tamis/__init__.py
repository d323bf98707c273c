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
    from tamis.api import arerank, rerank
    from tamis.config import from_yaml, json_schema, load, presets
    from tamis.criteria import Criterion, MultiCriteria, Rebel
    from tamis.engine import Cancellation, Engine
    from tamis.errors import TamisError
    from tamis.rankers.cross_encoder import CrossEncoder
    from tamis.rankers.embedding import Embedding
    from tamis.rankers.first_stage import FirstStage
    from tamis.rankers.fuse import Fuse
    from tamis.rankers.lexical import Lexical
    from tamis.rankers.listwise import Listwise
    from tamis.rankers.pointwise import Pointwise
    from tamis.ranking import Candidate, Query, Ranking
    from tamis.reranker import Reranker
    from tamis.select.cut import Deduplicate, Threshold, TopN
    from tamis.stage import Pipeline, Stage

_WHERE = {
    "Cancellation": "engine",
    "Candidate": "ranking",
    "Criterion": "criteria",
    "CrossEncoder": "rankers.cross_encoder",
    "Deduplicate": "select.cut",
    "Embedding": "rankers.embedding",
    "Engine": "engine",
    "FirstStage": "rankers.first_stage",
    "Fuse": "rankers.fuse",
    "Lexical": "rankers.lexical",
    "Listwise": "rankers.listwise",
    "MultiCriteria": "criteria",
    "Pipeline": "stage",
    "Pointwise": "rankers.pointwise",
    "Query": "ranking",
    "Ranking": "ranking",
    "Rebel": "criteria",
    "Reranker": "reranker",
    "Stage": "stage",
    "TamisError": "errors",
    "Threshold": "select.cut",
    "TopN": "select.cut",
    "arerank": "api",
    "from_yaml": "config",
    "json_schema": "config",
    "load": "config",
    "presets": "config",
    "rerank": "api",
}

__all__ = [
    "Cancellation",
    "Candidate",
    "Criterion",
    "CrossEncoder",
    "Deduplicate",
    "Embedding",
    "Engine",
    "FirstStage",
    "Fuse",
    "Lexical",
    "Listwise",
    "MultiCriteria",
    "Pipeline",
    "Pointwise",
    "Query",
    "Ranking",
    "Rebel",
    "Reranker",
    "Stage",
    "TamisError",
    "Threshold",
    "TopN",
    "arerank",
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
