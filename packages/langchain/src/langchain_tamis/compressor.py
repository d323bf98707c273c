"""A tamis pipeline as a LangChain document compressor."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Annotated, Any, Self

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import ConfigDict, Field, PrivateAttr, field_serializer
from pydantic.json_schema import SkipJsonSchema

from langchain_tamis.models import as_model
from tamis import Candidate, Engine, Ranking, Reranker
from tamis.errors import ConfigError
from tamis.text.tokens import left_of
from tamis.values.ranking import Ranked

PARTS = ("pipeline", "llm", "embeddings", "cross_encoder", "models", "engine")
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

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

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
    top_n: int | None = Field(default=None, ge=1)
    """How many documents to keep at most; `None`: what the pipeline keeps."""
    threshold: float | None = None
    """The lowest score to keep (inclusive, applied before `top_n`), on the pipeline's scale."""
    engine: SkipJsonSchema[Engine | Mapping[str, Any] | None] = Field(default=None, exclude=True)
    """Deadline, budget, retries, cache, ...: options of `tamis.Engine`, or one to share between compressors."""
    score_keys: tuple[str, ...] = ("relevance_score", "score")
    """Metadata keys of the retriever's score; the first that holds a number counts."""
    metadata_in_text: tuple[str, ...] = ()
    """Metadata keys the ranker reads in front of the text, as `key: value` lines."""
    explain: bool = False
    """Whether to add `metadata["tamis"]`: the score on each criterion and the model's reason."""
    keep_retrieval_score: bool = False
    """Whether to add `metadata["retrieval_score"]`, the score the document came with."""
    on_ranking: SkipJsonSchema[Callable[[Ranking], Any] | None] = Field(default=None, exclude=True)
    """Called with every `tamis.Ranking`: what was dropped and why, usage, warnings."""

    _bound: _Bound = PrivateAttr(default_factory=_Bound)

    def __init__(self, pipeline: Any = "default", **options: Any) -> None:
        super().__init__(pipeline=pipeline, **options)
        self._reranker()

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The documents to keep, best first. One run under `callbacks`, named as this class, the model's below it."""
        given = {"query": query, "documents": list(documents)}
        return self.as_runnable().invoke(given, {"callbacks": callbacks})

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """As `compress_documents`, without blocking the event loop."""
        given = {"query": query, "documents": list(documents)}
        return await self.as_runnable().ainvoke(given, {"callbacks": callbacks})

    def as_runnable(self) -> Runnable[dict[str, Any], list[Document]]:
        """A runnable from `{"query": ..., "documents": [...]}` to the documents to keep."""

        def compress(given: dict[str, Any]) -> list[Document]:
            return self._documents(given["documents"], self.rank(given["documents"], given["query"]))

        async def acompress(given: dict[str, Any]) -> list[Document]:
            return self._documents(given["documents"], await self.arank(given["documents"], given["query"]))

        return RunnableLambda(compress, acompress, name=type(self).__name__)

    def rank(self, documents: Sequence[Document], query: str) -> Ranking:
        """The whole result: kept and dropped with reasons, usage, warnings. Positions are indices into `documents`."""
        candidates = [self._candidate(document) for document in documents]
        return self._told(self._reranker().rerank(query, candidates, top_n=self.top_n, threshold=self.threshold))

    async def arank(self, documents: Sequence[Document], query: str) -> Ranking:
        """As `rank`, without blocking the event loop."""
        candidates = [self._candidate(document) for document in documents]
        return self._told(await self._reranker().arerank(query, candidates, top_n=self.top_n, threshold=self.threshold))

    def with_options(self, **options: Any) -> Self:
        """A copy with other values in some fields. Engine, cache and models are shared unless given."""
        checked = type(self)(**{**dict(self), **options})
        return self.model_copy(update={name: getattr(checked, name) for name in options})

    def to_data(self) -> dict[str, Any]:
        """This compressor as plain data. Models and `on_ranking` are left out; `ConfigError` for an `Engine` object."""
        data = self.model_dump(mode="json", exclude={"pipeline"}, exclude_defaults=True)
        engine = {} if self.engine is None else {"engine": _plain(self.engine)}
        return {"pipeline": self._reranker().to_data(), **data, **engine}

    @classmethod
    def from_data(cls, data: Mapping[str, Any], **objects: Any) -> Self:
        """From `to_data`, with what is not data: `llm`, `embeddings`, `cross_encoder`, `models`, `on_ranking`."""
        return cls(**{**data, **objects})

    def _reranker(self) -> Reranker:
        """Made once, and again when one of its parts has been replaced."""
        bound, parts = self._bound, tuple(getattr(self, name) for name in PARTS)
        if bound.reranker is None or any(old is not new for old, new in zip(bound.parts, parts, strict=True)):
            own = {"llm": self.llm, "embedder": self.embeddings, "cross_encoder": self.cross_encoder}
            given = {**(self.models or {}), **{name: model for name, model in own.items() if model is not None}}
            models = {name: as_model(model) for name, model in given.items()}
            bound = self._bound = _Bound(parts, Reranker(self.pipeline, models=models, engine=self.engine))
        assert bound.reranker is not None
        return bound.reranker

    def _told(self, ranking: Ranking) -> Ranking:
        if self.on_ranking is not None:
            self.on_ranking(ranking)
        return ranking

    def _candidate(self, document: Document) -> Candidate:
        known = document.metadata
        scores = (known.get(key) for key in self.score_keys)
        name = known.get("id") if document.id is None else document.id
        return Candidate(
            self._shown(document),
            id=name if isinstance(name, Hashable) else None,
            score=next((float(s) for s in scores if isinstance(s, Real) and not isinstance(s, bool)), None),
            metadata=known,
        )

    def _shown(self, document: Document) -> str:
        known = document.metadata
        front = [f"{key}: {known[key]}" for key in self.metadata_in_text if known.get(key) is not None]
        return "\n".join([*front, document.page_content])

    def _documents(self, documents: Sequence[Document], ranking: Ranking) -> list[Document]:
        return [self._document(documents[ranked.position], ranked) for ranked in ranking.kept]

    def _document(self, document: Document, ranked: Ranked) -> Document:
        metadata = {**document.metadata, "relevance_score": ranked.score}
        if self.keep_retrieval_score:
            metadata["retrieval_score"] = ranked.candidate.score
        if self.explain:
            metadata["tamis"] = {"criteria": dict(ranked.criteria), "reason": ranked.reason}
        shown, text = self._shown(document), document.page_content
        if ranked.text != shown:
            text, metadata["truncated"] = left_of(text, shown, ranked.text), True
        return document.model_copy(update={"page_content": text, "metadata": metadata})

    @field_serializer("pipeline")
    def _dump_pipeline(self, pipeline: Any) -> Any:
        try:
            return self._reranker().to_data()
        except ConfigError:
            return repr(pipeline)


def _plain(engine: Engine | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(engine, Engine) or not all(isinstance(v, (str, int, float, type(None))) for v in engine.values()):
        raise ConfigError(f"{engine!r} cannot be written as data: give the engine as a mapping of plain options")
    return dict(engine)
