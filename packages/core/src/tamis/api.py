"""The shortest way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tamis.engine import Engine
from tamis.learned.stage import Learned
from tamis.ranking import Query, Ranking
from tamis.reranker import Candidates, Reranker


def rerank(
    query: str | Query,
    candidates: Candidates,
    pipeline: Any = "texts",
    *,
    top_n: int | None = None,
    models: Mapping[str, Any] | None = None,
    engine: Engine | Mapping[str, Any] | None = None,
) -> Ranking:
    """Rerank `candidates` (strings, mappings or `Candidate`s) for `query`.

    `pipeline` is anything `tamis.load` takes; this default needs no model and takes the texts as being in no particular
    order. For what a retriever found use `"default"`, which trusts its order. `top_n`
    keeps that many; the rest is in `dropped`. `models` are those a pipeline calls by name, such as `{"llm": ...}`. To
    rerank more than once keep a `Reranker`.

    >>> rerank("tall mountain", ["a recipe", "a tall mountain"]).candidates[0].text
    'a tall mountain'
    """
    return Reranker(pipeline, models=models, top_n=top_n, engine=engine).rerank(query, candidates)


async def arerank(
    query: str | Query,
    candidates: Candidates,
    pipeline: Any = "texts",
    *,
    top_n: int | None = None,
    models: Mapping[str, Any] | None = None,
    engine: Engine | Mapping[str, Any] | None = None,
) -> Ranking:
    """As `rerank`, without blocking the event loop."""
    return await Reranker(pipeline, models=models, top_n=top_n, engine=engine).arerank(query, candidates)


def default(
    embedder: Any = None,
    *,
    unscored: Literal["order", "unknown"] = "order",
    depth: int | None = None,
    explain: bool = False,
) -> Learned:
    """The ranker for what a retriever found that comes with the base install: see `Learned`.

    An `embedder` makes it better: its cosines join in.

    >>> default().rerank("tall mountain", ["a recipe", "a tall mountain"]).candidates[0].text
    'a tall mountain'
    """
    return Learned(embedder, unscored, depth, explain)
