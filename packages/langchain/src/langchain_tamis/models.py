"""LangChain's models as tamis models: each wrapper turns calls into invocations and replies into answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import LLM, BaseChatModel, BaseLLM, SimpleChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable
from langchain_core.runnables.base import RunnableBindingBase

from tamis.adapters.arguments import limit
from tamis.adapters.models import (
    ChatModel,
    EmbeddingModel,
    LiveModel,
    Reply,
    Role,
    Vectors,
    ended,
    one_each,
    top_tokens,
    usage_of,
)
from tamis.errors import ConfigError, ModelError
from tamis.values.answers import Failure, Score
from tamis.values.calls import CAPABILITIES, ChoiceLogprobs, Classify, Generate
from tamis.values.scale import UNKNOWN, Scale

ROLES: Mapping[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
TOP_LOGPROBS = {"logprobs": True, "top_logprobs": 20}
IN_EXECUTOR = (BaseChatModel._agenerate, SimpleChatModel._agenerate, BaseLLM._agenerate)


class CrossEncoder(Protocol):
    """A cross-encoder by its one method: langchain-core, langchain-classic and langchain-community each have had a
    base class of their own."""

    def score(self, text_pairs: list[tuple[str, str]], /) -> Any: ...


def as_model(value: Any) -> Any:
    """A tamis model for a LangChain one; anything else is returned as it is, to be judged by tamis."""
    if isinstance(value, Runnable):
        return LangChainChat(value)
    if isinstance(value, Embeddings):
        return LangChainEmbeddings(value)
    ours = any(_has(value, name) for name in CAPABILITIES)
    return LangChainCrossEncoder(value) if callable(getattr(value, "score", None)) and not ours else value


def as_cross_encoder(value: Any) -> Any:
    """As `as_model`, for what is given as a cross-encoder: an object with `score` is one whatever else it can do,
    unless it answers `classify` itself."""
    scores = callable(getattr(value, "score", None)) and not isinstance(value, (type, Runnable, Embeddings))
    return LangChainCrossEncoder(value) if scores and not _has(value, "classify") else value


def _has(value: Any, capability: str) -> bool:
    return hasattr(value, capability) or hasattr(value, f"a{capability}")


class LangChainChat(ChatModel):
    """A chat model, a plain text model, or any runnable made of one (`bind`, `with_retry`, `with_fallbacks`).

    Args:
        llm: takes messages and returns a message or a string. Temperature, output limit and the like are its own
            settings. It need not be bound to a schema: tamis reads JSON from text.
        name: for traces; default: the model's own.
        logprobs: whether it can show the log-probabilities of tokens, which pipelines such as `pointwise` need.
            Default: yes for the models of `langchain-openai`, no for others.
        max_concurrency: calls at the same time.
        cache_key: see `tamis.adapters.models.LiveModel`.

    Invocations belong to the run they are made in: callbacks and traces reach them. A model without an async method
    of its own has no `agenerate` here, so that it runs in tamis's threads and not in the few of asyncio's executor.
    """

    def __init__(
        self,
        llm: Runnable[Any, Any],
        *,
        name: str | None = None,
        logprobs: bool | None = None,
        max_concurrency: int = 16,
        cache_key: str | None = None,
    ) -> None:
        inner = unbound(llm)
        super().__init__(
            inner,
            name=name,
            logprobs=_is_openai(inner) if logprobs is None else logprobs,
            native_async=has_async(inner),
            max_concurrency=max_concurrency,
            cache_key=cache_key,
        )
        self.llm = llm
        self.context_window = (getattr(inner, "profile", None) or {}).get("max_input_tokens")

    def _ask(self, call: Generate | ChoiceLogprobs) -> Reply | Failure:
        return _reply(self.llm.invoke(_messages(call), **_options(call)))

    async def _aask(self, call: Generate | ChoiceLogprobs) -> Reply | Failure:
        return _reply(await self.llm.ainvoke(_messages(call), **_options(call)))


class LangChainEmbeddings(EmbeddingModel):
    """An embedding model. `max_batch`: texts per request."""

    def __init__(
        self,
        embeddings: Embeddings,
        *,
        name: str | None = None,
        max_batch: int = 64,
        max_concurrency: int = 4,
        cache_key: str | None = None,
    ) -> None:
        super().__init__(
            embeddings,
            name=name,
            native_async=type(embeddings).aembed_documents is not Embeddings.aembed_documents,
            max_batch=max_batch,
            max_concurrency=max_concurrency,
            cache_key=cache_key,
        )
        self.embeddings = embeddings

    def _embed(self, texts: list[str], role: Role) -> Vectors:
        if role == "query":
            return [self.embeddings.embed_query(text) for text in texts]
        return self.embeddings.embed_documents(texts)

    async def _aembed(self, texts: list[str], role: Role) -> Vectors:
        if role == "query":
            return [await self.embeddings.aembed_query(text) for text in texts]
        return await self.embeddings.aembed_documents(texts)


class LangChainCrossEncoder(LiveModel):
    """A cross-encoder: any object with `score(pairs)`, which returns one number per pair, as n of them or as an array
    of shape (n,) or (n, 1). They are sync, so the engine runs them in a thread.

    `scale`: what the scores mean.
    """

    def __init__(
        self,
        cross_encoder: CrossEncoder,
        *,
        name: str | None = None,
        scale: Scale = UNKNOWN,
        max_batch: int = 32,
        max_concurrency: int = 1,
        cache_key: str | None = None,
    ) -> None:
        super().__init__(cross_encoder, name=name, max_concurrency=max_concurrency, cache_key=cache_key)
        self.cross_encoder = cross_encoder
        self.scale = scale
        self.max_batch = limit("max_batch", max_batch, ConfigError) or 1

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        scores = self.cross_encoder.score([(call.query, call.text) for call in calls])
        one_each(self.name, scores, calls)
        return [Score(self._number(score)) for score in scores]

    def _number(self, score: Any) -> float:
        """One score, also as a row of one: models whose last layer has one output give an array of shape (n, 1)."""
        if hasattr(score, "__len__") and not isinstance(score, (str, bytes)) and getattr(score, "shape", None) != ():
            if len(score) != 1:
                raise ModelError(f"{self.name} gave {len(score)} numbers for a pair; `score` must give one per pair")
            return self._number(score[0])
        return float(score)


def unbound(llm: Any) -> Any:
    """The model inside `bind`, `with_config` and `with_retry`."""
    while isinstance(llm, RunnableBindingBase):
        llm = llm.bound
    return llm


def has_async(llm: Any) -> bool:
    """Whether `llm` is async of its own; when nothing tells, it is taken to be."""
    method = getattr(type(llm), "_agenerate", None)
    if method is LLM._agenerate:
        return type(llm)._acall is not LLM._acall
    return method not in IN_EXECUTOR


def _is_openai(llm: Any) -> bool:
    return any(c.__module__.startswith("langchain_openai.") and "Chat" in c.__name__ for c in type(llm).__mro__)


def _messages(call: Generate | ChoiceLogprobs) -> list[BaseMessage]:
    return [ROLES[message.role](content=message.content) for message in call.messages]


def _options(call: Generate | ChoiceLogprobs) -> dict[str, Any]:
    if isinstance(call, ChoiceLogprobs):
        return TOP_LOGPROBS
    return {"stop": list(call.stop)} if call.stop else {}


def _reply(reply: Any) -> Reply | Failure:
    if isinstance(reply, str):
        return Reply(str(reply))
    if not isinstance(reply, BaseMessage):
        return Failure("malformed", f"the runnable gave {type(reply).__name__}; it must give a message or a string")
    meta = reply.response_metadata
    ending = ended(meta)
    return Reply(
        str(reply.text),
        ending.complete,
        top_tokens(meta.get("logprobs")),
        stopped_by=ending.stopped_by,
        **usage_of(getattr(reply, "usage_metadata", None)),
    )
