"""The node postprocessor: LlamaIndex nodes in, a tamis pipeline, LlamaIndex nodes out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from llama_index.core import instrumentation
from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr, field_serializer
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
from llama_index.postprocessor.tamis.models import to_model

from tamis import Candidate, Engine, Query, Ranking, Reranker
from tamis.text.tokens import left_of
from tamis.values.ranking import Ranked

dispatcher = instrumentation.get_dispatcher(__name__)  # type: ignore[attr-defined]
log = logging.getLogger(__name__)


class TamisRerank(BaseNodePostprocessor):
    """Rerank retrieved nodes with a tamis pipeline.

    Returned nodes carry the pipeline's score, `None` where the model gave none: a node it could not judge, or an order
    without scores (`listwise`). Such a node keeps its place; it is never dropped for it. Input nodes are never changed:
    one that a token budget cut comes back as a copy with the shorter text and `metadata["truncated"]`.

    Args:
        pipeline: the name of a ready pipeline (`tamis.presets()`), a stage, plain data or a path to YAML.
        llm, embed_model: the models pipelines call `llm` and `embedder`: LlamaIndex's, or any tamis model.
        models: further models by the name the pipeline calls them.
        top_n: how many nodes to keep at most, at least 1; `None` keeps what the pipeline keeps.
        threshold: the lowest score to keep (inclusive, on the pipeline's scale); applied before `top_n`.
        metadata_mode: which metadata the pipeline reads in front of the text. Default: what the LLM would see when
            there is an `llm`, else what the embedding model would see.
        keep_retrieval_score: put the retriever's score into `metadata["retrieval_score"]` of a copy of the node.
        explain: put criteria, reason and retrieval rank (from 0) into `metadata["tamis"]` of a copy of the node.
            No key added here is shown to LLMs or embedding models.
        engine: options of `tamis.Engine` (deadline, budget, retries, cache, `on_failure`), or one to share.
        on_ranking: called with every `Ranking`: what was dropped and why, warnings, usage.

    Raises a `tamis.TamisError`: `ConfigError` (a `ValueError`) for a pipeline that cannot be built, `CapabilityError`
    for a model that cannot do what it asks. A model that fails raises only with `engine={"on_failure": "raise"}`.
    `to_dict` leaves out models, callbacks and an `Engine` object; give them again: `from_dict(data, llm=llm)`.

    >>> rerank = TamisRerank("rebel", llm=llm, top_n=5)  # doctest: +SKIP
    >>> index.as_query_engine(similarity_top_k=50, node_postprocessors=[rerank])  # doctest: +SKIP
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, validate_assignment=True)

    pipeline: Any = Field(default="default", frozen=True)
    llm: Any = Field(default=None, exclude=True, frozen=True)
    embed_model: Any = Field(default=None, exclude=True, frozen=True)
    models: Mapping[str, Any] | None = Field(default=None, exclude=True, frozen=True)
    top_n: int | None = Field(default=None, ge=1)
    threshold: float | None = None
    metadata_mode: MetadataMode | None = None
    keep_retrieval_score: bool = False
    explain: bool = False
    engine: Any = Field(default=None, frozen=True)
    on_ranking: Callable[[Ranking], None] | None = Field(default=None, exclude=True)

    _reranker: Reranker = PrivateAttr()
    _model_name: str = PrivateAttr()

    def __init__(
        self,
        pipeline: Any = "default",
        *,
        llm: Any = None,
        embed_model: Any = None,
        models: Mapping[str, Any] | None = None,
        top_n: int | None = None,
        threshold: float | None = None,
        metadata_mode: MetadataMode | None = None,
        keep_retrieval_score: bool = False,
        explain: bool = False,
        engine: Engine | Mapping[str, Any] | None = None,
        on_ranking: Callable[[Ranking], None] | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(
            pipeline=pipeline,
            llm=llm,
            embed_model=embed_model,
            models=models,
            top_n=top_n,
            threshold=threshold,
            metadata_mode=metadata_mode,
            keep_retrieval_score=keep_retrieval_score,
            explain=explain,
            engine=engine,
            on_ranking=on_ranking,
            callback_manager=callback_manager or CallbackManager([]),
        )
        given = {"llm": llm, "embedder": embed_model, **(models or {})}
        named = {name: to_model(model) for name, model in given.items() if model is not None}
        self._model_name = ", ".join(getattr(model, "name", name) for name, model in named.items()) or "tamis"
        self._reranker = Reranker(pipeline, models=named, engine=engine)

    def rank(self, nodes: Sequence[NodeWithScore], query: str | QueryBundle) -> Ranking:
        """The whole result: kept and dropped, with reasons, warnings and cost. `position` is an index into `nodes`."""
        return self._reranker.rerank(*self._asked(nodes, query), top_n=self.top_n, threshold=self.threshold)

    async def arank(self, nodes: Sequence[NodeWithScore], query: str | QueryBundle) -> Ranking:
        """As `rank`, without blocking the event loop."""
        return await self._reranker.arerank(*self._asked(nodes, query), top_n=self.top_n, threshold=self.threshold)

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        with self._observed(nodes, query_bundle) as (query, result):
            if nodes:
                result.extend(self._reranked(nodes, self.rank(nodes, query)))
        return result

    @dispatcher.span
    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        with self._observed(nodes, query_bundle) as (query, result):
            if nodes:
                result.extend(self._reranked(nodes, await self.arank(nodes, query)))
        return result

    @contextmanager
    def _observed(
        self, nodes: list[NodeWithScore], query: QueryBundle | None
    ) -> Iterator[tuple[QueryBundle, list[NodeWithScore]]]:
        """Start and end events around the work, however it ends. What is put into the list given is what ends it."""
        top_n = len(nodes) if self.top_n is None else self.top_n
        result: list[NodeWithScore] = []
        dispatcher.event(ReRankStartEvent(query=query, nodes=nodes, top_n=top_n, model_name=self._model_name))
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: self._model_name,
            EventPayload.QUERY_STR: query and query.query_str,
            EventPayload.TOP_K: top_n,
        }
        try:
            with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
                if query is None:
                    raise ValueError("TamisRerank needs a query: pass query_bundle or query_str")
                yield query, result
                event.on_end(payload={EventPayload.NODES: result})
        finally:
            dispatcher.event(ReRankEndEvent(nodes=result))

    def _asked(self, nodes: Sequence[NodeWithScore], query: str | QueryBundle) -> tuple[Query, list[Candidate]]:
        bundle = QueryBundle(query) if isinstance(query, str) else query
        return Query(bundle.query_str, vector=_vector(bundle.embedding)), [self._candidate(node) for node in nodes]

    def _candidate(self, node: NodeWithScore) -> Candidate:
        metadata, vector = dict(node.node.metadata), _vector(node.node.embedding)
        return Candidate(self._shown(node), node.node.node_id, score=node.score, metadata=metadata, vector=vector)

    def _shown(self, node: NodeWithScore) -> str:
        default = MetadataMode.EMBED if self.llm is None else MetadataMode.LLM
        return node.node.get_content(metadata_mode=self.metadata_mode or default)

    def _reranked(self, nodes: Sequence[NodeWithScore], ranking: Ranking) -> list[NodeWithScore]:
        if self.on_ranking is not None:
            try:
                self.on_ranking(ranking)
            except Exception:
                log.exception("the on_ranking callback raised; the rerank goes on")
        return [self._node(nodes[ranked.position], ranked) for ranked in ranking.kept]

    def _node(self, given: NodeWithScore, ranked: Ranked) -> NodeWithScore:
        notes: dict[str, Any] = {}
        if self.keep_retrieval_score:
            notes["retrieval_score"] = ranked.candidate.score
        if self.explain:
            criteria = {name: _number(value) for name, value in ranked.criteria.items()}
            notes["tamis"] = {"criteria": criteria, "reason": ranked.reason, "retrieval_rank": ranked.position}
        shown = self._shown(given)
        if ranked.text != shown:
            notes["truncated"] = True
        node = given.node
        if notes:
            hidden = {
                field: [*(key for key in getattr(node, field) if key not in notes), *notes]
                for field in ("excluded_llm_metadata_keys", "excluded_embed_metadata_keys")
            }
            node = node.model_copy(update={"metadata": {**node.metadata, **notes}, **hidden})
        if ranked.text != shown:
            node.set_content(left_of(node.get_content(), shown, ranked.text))
        return given.model_copy(update={"node": node, "score": _number(ranked.score)})

    @field_serializer("pipeline")
    def _pipeline_as_data(self, pipeline: Any) -> Any:
        return self._reranker.to_data()

    @field_serializer("engine")
    def _engine_as_data(self, engine: Any) -> dict[str, Any] | None:
        if not isinstance(engine, Mapping):
            return None
        return {name: value for name, value in engine.items() if isinstance(value, str | int | float | None)}

    def __getstate__(self) -> dict[str, Any]:
        """Without what cannot be pickled. Asked of a copy, since the base class deletes it from the object itself."""
        copy = self.model_copy()
        del copy._reranker
        return super(TamisRerank, copy).__getstate__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build anew; `ConfigError` when the pipeline needs a model that could not be pickled."""
        self.__init__(**state["__dict__"])  # type: ignore[misc]

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> TamisRerank:
        """Shares models and engine, as a copy for another thread should."""
        return self.model_copy()

    @classmethod
    def class_name(cls) -> str:
        return "TamisRerank"


def _vector(embedding: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if embedding is None else tuple(embedding)


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
