"""The node postprocessor: LlamaIndex nodes in, a tamis pipeline, LlamaIndex nodes out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Self

from llama_index.core import instrumentation
from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr, field_serializer
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
from llama_index.postprocessor.tamis.models import as_model
from pydantic import AfterValidator, StrictBool

from tamis import Candidate, Engine, Query, Ranking, Reranker
from tamis.adapters import arguments
from tamis.adapters.models import named
from tamis.adapters.results import OnRanking, Result, announce, results
from tamis.errors import InputError
from tamis.parts.permissions import Allow
from tamis.values.similarity import Scores

dispatcher = instrumentation.get_dispatcher(__name__)  # type: ignore[attr-defined]
log = logging.getLogger(__name__)
NODES = "Pass what a retriever returned, or [NodeWithScore(node=...)]."


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
        scores: what the scores of incoming nodes are: `"similarity"`, `"distance"` (as a FAISS index with L2 returns)
            or `"ignore"`. `"detect"`: similarities, unless they rise along the incoming order: then
            they are distances, and the ranking says so.
        metadata_mode: which metadata the pipeline reads in front of the text. Default: what the LLM would see when
            there is an `llm`, else what the embedding model would see.
        keep_retrieval_score: put the retriever's score into `metadata["retrieval_score"]` of a copy of the node.
        explain: put the reasons for its rank into `metadata["tamis"]` of a copy of the node: `criteria`, `reason`,
            `retrieval_rank`, `retrieval_score`, `lifted_by` (see `tamis.adapters.results.explain`). No key added here
            is shown to LLMs or embedding models.
        engine: options of `tamis.Engine` (deadline, budget, retries, cache, `on_failure`), or one to share.
        on_ranking: a function called once per rerank with the `Ranking`: what was dropped and why, warnings, usage.
            What it raises is logged and loses no result.
        allow: what the pipeline may do beyond computing, as for `tamis.load`. Default: everything for a pipeline given
            as plain data in Python, nothing for a YAML file and for what `from_dict` reads.

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
    allow: str | frozenset[str] | None = Field(default=None, exclude=True, frozen=True)
    top_n: int | None = Field(default=None, ge=1, strict=True)
    threshold: float | None = Field(default=None, strict=True, allow_inf_nan=False)
    scores: Scores = Field(default="detect", frozen=True)
    metadata_mode: MetadataMode | None = None
    keep_retrieval_score: StrictBool = False
    explain: StrictBool = False
    engine: Any = Field(default=None, frozen=True)
    on_ranking: Annotated[
        OnRanking | None,
        AfterValidator(partial(arguments.callback, "on_ranking")),
        Field(default=None, exclude=True),
    ]

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
        scores: Scores = "detect",
        metadata_mode: MetadataMode | None = None,
        keep_retrieval_score: bool = False,
        explain: bool = False,
        engine: Engine | Mapping[str, Any] | None = None,
        on_ranking: OnRanking | None = None,
        callback_manager: CallbackManager | None = None,
        allow: Allow | None = None,
    ) -> None:
        super().__init__(
            pipeline=pipeline,
            llm=llm,
            embed_model=embed_model,
            models=models,
            top_n=top_n,
            threshold=threshold,
            scores=scores,
            metadata_mode=metadata_mode,
            keep_retrieval_score=keep_retrieval_score,
            explain=explain,
            engine=engine,
            on_ranking=on_ranking,
            callback_manager=callback_manager or CallbackManager([]),
            allow=allow,
        )
        known = named(models, as_model, llm=llm, embedder=embed_model)
        self._model_name = ", ".join(getattr(model, "name", name) for name, model in known.items()) or "tamis"
        allow = arguments.permitted(pipeline, allow)
        self._reranker = Reranker(pipeline, models=known, engine=engine, scores=scores, allow=allow)

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """From `to_dict`, with what is not data. The pipeline may do what `allow=` permits, by default nothing beyond
        computing: data cannot permit itself anything."""
        return super().from_dict({**data, "allow": ()}, **kwargs)

    def rank(self, nodes: Sequence[NodeWithScore], query: str | QueryBundle) -> Ranking:
        """The whole result: kept and dropped, with reasons, warnings and cost. `position` is an index into `nodes`."""
        return self._rank(self._candidates(_checked(nodes)), query)

    async def arank(self, nodes: Sequence[NodeWithScore], query: str | QueryBundle) -> Ranking:
        """As `rank`, without blocking the event loop."""
        return await self._arank(self._candidates(_checked(nodes)), query)

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        nodes = _checked(nodes)
        with self._observed(nodes, query_bundle) as (query, result):
            candidates = self._candidates(nodes)
            result.extend(self._nodes(nodes, candidates, self._rank(candidates, query)))
        return result

    @dispatcher.span
    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        nodes = _checked(nodes)
        with self._observed(nodes, query_bundle) as (query, result):
            candidates = self._candidates(nodes)
            result.extend(self._nodes(nodes, candidates, await self._arank(candidates, query)))
        return result

    def _rank(self, candidates: Sequence[Candidate], query: str | QueryBundle) -> Ranking:
        ranking = self._reranker.rerank(_query(query), candidates, top_n=self.top_n, threshold=self.threshold)
        return announce(self.on_ranking, ranking, log)

    async def _arank(self, candidates: Sequence[Candidate], query: str | QueryBundle) -> Ranking:
        ranking = await self._reranker.arerank(_query(query), candidates, top_n=self.top_n, threshold=self.threshold)
        return announce(self.on_ranking, ranking, log)

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

    def _candidates(self, nodes: Sequence[NodeWithScore]) -> list[Candidate]:
        return [self._candidate(node) for node in nodes]

    def _candidate(self, node: NodeWithScore) -> Candidate:
        metadata, vector = dict(node.node.metadata), _vector(node.node.embedding)
        return Candidate(self._shown(node), node.node.node_id, score=node.score, metadata=metadata, vector=vector)

    def _shown(self, node: NodeWithScore) -> str:
        default = MetadataMode.EMBED if self.llm is None else MetadataMode.LLM
        return node.node.get_content(metadata_mode=self.metadata_mode or default)

    def _nodes(
        self, nodes: Sequence[NodeWithScore], candidates: Sequence[Candidate], ranking: Ranking
    ) -> list[NodeWithScore]:
        def content(position: int) -> str:
            return nodes[position].node.get_content()

        kept = results(ranking, candidates, content, explained=self.explain, retrieval_score=self.keep_retrieval_score)
        return [_node(nodes[result.position], result) for result in kept]

    @field_serializer("pipeline")
    def _pipeline_as_data(self, pipeline: Any) -> Any:
        return self._reranker.to_data()

    @field_serializer("engine")
    def _engine_as_data(self, engine: Any) -> dict[str, Any] | None:
        return None if isinstance(engine, Engine) else arguments.engine_data(engine)

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


def _checked(nodes: Any) -> list[NodeWithScore]:
    return arguments.documents("nodes", nodes, NodeWithScore, NODES)


def _query(query: Any) -> Query:
    if isinstance(query, str):
        return Query(query)
    if not isinstance(query, QueryBundle):
        raise InputError(f"query must be a string or a QueryBundle, got {query!r}")
    return Query(query.query_str, vector=_vector(query.embedding))


def _node(given: NodeWithScore, result: Result) -> NodeWithScore:
    """`given` with its new score; a copy of the node inside where something is added to it or cut."""
    node, notes = given.node, result.notes
    if notes:
        hidden = {
            field: [*(key for key in getattr(node, field) if key not in notes), *notes]
            for field in ("excluded_llm_metadata_keys", "excluded_embed_metadata_keys")
        }
        node = node.model_copy(update={"metadata": {**node.metadata, **notes}, **hidden})
    if result.truncated:
        node.set_content(result.text)
    return given.model_copy(update={"node": node, "score": result.score})
