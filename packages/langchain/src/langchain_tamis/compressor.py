"""A tamis pipeline as a LangChain document compressor."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from reprlib import repr as short
from typing import Annotated, Any, Self, TypeGuard

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import AfterValidator, ConfigDict, Field, PrivateAttr, StrictBool, field_serializer
from pydantic.json_schema import SkipJsonSchema

from langchain_tamis.models import as_cross_encoder, as_model
from tamis import Candidate, Engine, Ranking, Reranker
from tamis.adapters import arguments
from tamis.adapters.models import named
from tamis.adapters.results import OnRanking, announce, results
from tamis.errors import ConfigError, InputError
from tamis.values.ranking import Notice
from tamis.values.similarity import Scores

log = logging.getLogger(__name__)
DOCUMENTS = "Pass what a retriever returned, or [Document(page_content=...)]."
PARTS = ("pipeline", "llm", "embeddings", "cross_encoder", "models", "engine", "scores", "allow")
Part = Annotated[Any, Field(default=None, exclude=True, repr=False)]


@dataclass(frozen=True)
class _Bound:
    """The reranker made of a compressor's parts. A deep copy or pickle of the compressor makes its own."""

    parts: tuple[Any, ...] = field(default=(), compare=False)
    reranker: Reranker | None = field(default=None, compare=False)

    def __reduce__(self) -> tuple[type[_Bound], tuple[()]]:
        return _Bound, ()


class TamisCompressor(BaseDocumentCompressor):
    """Reranks and filters retrieved documents with a tamis pipeline.

    Returned documents are copies (same id, same class) with `metadata["relevance_score"]`: a float, or `None` where
    nothing judged the document or the method gives an order without scores. One that a token budget cut has the shorter
    text and `metadata["truncated"]`. The originals are not touched.

    >>> compressor = TamisCompressor("lexical", top_n=1)
    >>> found = [Document("a recipe"), Document("a tall mountain", id="m")]
    >>> compressor.compress_documents(found, "tall mountain")[0].id
    'm'
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", validate_assignment=True)

    pipeline: Any = "default"
    """What to do: the name of a ready one, a `tamis.Stage`, plain data, a YAML path. May be the first argument."""
    llm: Part
    """The model the pipeline calls `llm`: a chat model, a text model or a runnable of one; or a tamis model."""
    embeddings: Part
    """The model the pipeline calls `embedder`: LangChain `Embeddings`, or a tamis model."""
    cross_encoder: Part
    """The model the pipeline calls `cross_encoder`: a LangChain `BaseCrossEncoder`, or a tamis model."""
    models: Mapping[str, Any] | None = Field(default=None, exclude=True, repr=False)
    """Further models by the name the pipeline calls them, LangChain's or tamis's."""
    allow: str | frozenset[str] | None = Field(default=None, exclude=True, repr=False)
    """What the pipeline may do beyond computing, as for `tamis.load`. Default: everything for a pipeline given as plain
    data in Python, nothing for a YAML file."""
    top_n: int | None = Field(default=None, ge=1, strict=True)
    """How many documents to keep at most; `None`: what the pipeline keeps."""
    threshold: float | None = Field(default=None, strict=True, allow_inf_nan=False)
    """The lowest score to keep (inclusive, applied before `top_n`), on the pipeline's scale."""
    engine: SkipJsonSchema[Engine | Mapping[str, Any] | None] = Field(default=None, exclude=True)
    """Deadline, budget, retries, cache, ...: options of `tamis.Engine`, or one to share between compressors."""
    score_keys: tuple[str, ...] = ("relevance_score", "score")
    """Metadata keys of the retriever's score; the first that holds a number counts."""
    scores: Scores = "detect"
    """What the retriever's scores are: `"similarity"`, `"distance"` (as `similarity_search_with_score` of FAISS and
    Chroma returns) or `"ignore"`. `"detect"`: similarities, unless they rise along the incoming order: then they are
    distances, and the ranking says so."""
    metadata_in_text: tuple[str, ...] = ()
    """Metadata keys the ranker reads in front of the text, as `key: value` lines."""
    explain: StrictBool = False
    """Whether to add `metadata["tamis"]`, the reasons for a document's rank: `criteria`, `reason`, `retrieval_rank`,
    `retrieval_score`, `lifted_by` (see `tamis.adapters.results.explain`)."""
    keep_retrieval_score: StrictBool = False
    """Whether to add `metadata["retrieval_score"]`, the score the document came with."""
    on_ranking: Annotated[
        SkipJsonSchema[OnRanking | None],
        AfterValidator(partial(arguments.callback, "on_ranking")),
        Field(default=None, exclude=True),
    ]
    """A function called once per rerank with the `tamis.Ranking`: what was dropped and why, usage, warnings. What it
    raises is logged and loses no result."""

    _bound: _Bound = PrivateAttr(default_factory=_Bound)

    def __init__(self, pipeline: Any = "default", **options: Any) -> None:
        super().__init__(pipeline=pipeline, **options)
        self._reranker()

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The documents to keep, best first. One run under `callbacks`, named as this class, the model's below it.

        `InputError` (a `ValueError`) for an empty query and for what is not a list of `Document`.
        """
        return self.as_runnable().invoke({"query": query, "documents": documents}, {"callbacks": callbacks})

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """As `compress_documents`, without blocking the event loop."""
        given = {"query": query, "documents": documents}
        return await self.as_runnable().ainvoke(given, {"callbacks": callbacks})

    def as_runnable(self) -> Runnable[dict[str, Any], list[Document]]:
        """A runnable from `{"query": ..., "documents": [...]}` to the documents to keep."""

        def compress(given: dict[str, Any]) -> list[Document]:
            documents, candidates = self._asked(_given(given, "documents"))
            return self._documents(documents, candidates, self._rank(candidates, _given(given, "query")))

        async def acompress(given: dict[str, Any]) -> list[Document]:
            documents, candidates = self._asked(_given(given, "documents"))
            return self._documents(documents, candidates, await self._arank(candidates, _given(given, "query")))

        return RunnableLambda(compress, acompress, name=type(self).__name__)

    def rank(self, documents: Sequence[Document], query: str) -> Ranking:
        """The whole result: kept and dropped with reasons, usage, warnings. Positions are indices into `documents`."""
        return self._rank(self._asked(documents)[1], query)

    async def arank(self, documents: Sequence[Document], query: str) -> Ranking:
        """As `rank`, without blocking the event loop."""
        return await self._arank(self._asked(documents)[1], query)

    def with_options(self, **options: Any) -> Self:
        """A copy with other values in some fields. Engine, cache and models are shared unless given."""
        checked = type(self)(**{**dict(self), **options})
        return self.model_copy(update={name: getattr(checked, name) for name in options})

    def to_data(self) -> dict[str, Any]:
        """This compressor as plain data. Models and `on_ranking` are left out; `ConfigError` for an `Engine` object."""
        data = self.model_dump(mode="json", exclude={"pipeline"}, exclude_defaults=True)
        engine = arguments.engine_data(self.engine, ConfigError)
        return {"pipeline": self._reranker().to_data(), **data, **({} if engine is None else {"engine": engine})}

    @classmethod
    def from_data(cls, data: Mapping[str, Any], **objects: Any) -> Self:
        """From `to_data`, with what is not data: `llm`, `embeddings`, `cross_encoder`, `models`, `on_ranking`;
        and with `allow`, by default nothing: data cannot permit itself anything."""
        return cls(**{**data, "allow": (), **objects})

    def _reranker(self) -> Reranker:
        """Made once, and again when one of its parts has been replaced."""
        bound, parts = self._bound, tuple(getattr(self, name) for name in PARTS)
        if bound.reranker is None or any(old is not new for old, new in zip(bound.parts, parts, strict=True)):
            own = {"llm": self.llm, "embedder": self.embeddings, "cross_encoder": as_cross_encoder(self.cross_encoder)}
            models = named(self.models, as_model, **own)
            allow = arguments.permitted(self.pipeline, self.allow)
            made = Reranker(self.pipeline, models=models, engine=self.engine, scores=self.scores, allow=allow)
            bound = self._bound = _Bound(parts, made)
        assert bound.reranker is not None
        return bound.reranker

    def _rank(self, candidates: Sequence[Candidate], query: str) -> Ranking:
        ranking = self._reranker().rerank(query, candidates, top_n=self.top_n, threshold=self.threshold)
        return announce(self.on_ranking, self._told(ranking, candidates), log)

    async def _arank(self, candidates: Sequence[Candidate], query: str) -> Ranking:
        ranking = await self._reranker().arerank(query, candidates, top_n=self.top_n, threshold=self.threshold)
        return announce(self.on_ranking, self._told(ranking, candidates), log)

    def _told(self, ranking: Ranking, candidates: Sequence[Candidate]) -> Ranking:
        """With a notice of the documents whose metadata has a score that is not a number, and none that is."""
        if self.scores == "ignore":
            return ranking
        unread = {}
        for position, candidate in enumerate(candidates):
            given = [candidate.metadata[key] for key in self.score_keys if candidate.metadata.get(key) is not None]
            if given and not any(map(_is_number, given)):
                unread[position] = given[0]
        if not unread:
            return ranking
        said = (
            f"{len(unread)} of {len(candidates)} scores in the metadata ({', '.join(self.score_keys)}) are not "
            f"numbers, such as {short(next(iter(unread.values())))}: they count as missing"
        )
        return ranking.warn(Notice(said, tuple(unread), degraded=False))

    def _asked(self, value: Any) -> tuple[list[Document], list[Candidate]]:
        documents = arguments.documents("documents", value, Document, DOCUMENTS)
        return documents, [self._candidate(document) for document in documents]

    def _candidate(self, document: Document) -> Candidate:
        known = document.metadata
        scores = (known.get(key) for key in self.score_keys)
        name = known.get("id") if document.id is None else document.id
        front = [f"{key}: {known[key]}" for key in self.metadata_in_text if known.get(key) is not None]
        return Candidate(
            "\n".join([*front, document.page_content]),
            id=name if isinstance(name, Hashable) else None,
            score=next((float(s) for s in scores if _is_number(s)), None),
            metadata=known,
        )

    def _documents(
        self, documents: Sequence[Document], candidates: Sequence[Candidate], ranking: Ranking
    ) -> list[Document]:
        def content(position: int) -> str:
            return documents[position].page_content

        kept = []
        for result in results(
            ranking, candidates, content, explained=self.explain, retrieval_score=self.keep_retrieval_score
        ):
            document = documents[result.position]
            metadata = {**document.metadata, "relevance_score": result.score, **result.notes}
            kept.append(document.model_copy(update={"page_content": result.text, "metadata": metadata}))
        return kept

    @field_serializer("pipeline")
    def _dump_pipeline(self, pipeline: Any) -> Any:
        try:
            return self._reranker().to_data()
        except ConfigError:
            return repr(pipeline)


def _is_number(value: Any) -> TypeGuard[Real]:
    return isinstance(value, Real) and not isinstance(value, bool)


def _given(given: Any, key: str) -> Any:
    if not isinstance(given, Mapping) or key not in given:
        raise InputError(f"the input must be {{'query': ..., 'documents': [...]}}; {key!r} is missing")
    return given[key]
