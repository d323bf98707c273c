"""LangChain's models as tamis models: each wrapper turns calls into invocations and replies into answers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.cross_encoders import BaseCrossEncoder
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import LLM, BaseChatModel, BaseLLM, SimpleChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable
from langchain_core.runnables.base import RunnableBindingBase

from tamis.errors import ModelError
from tamis.models.served.labels import label_logprobs
from tamis.values.calls import (
    ChoiceLogprobs,
    Classify,
    Embed,
    Failure,
    Generate,
    Generated,
    Logprobs,
    Message,
    Score,
    Vector,
)
from tamis.values.scale import UNKNOWN, Scale

ROLES: Mapping[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
FINISH = ("finish_reason", "stop_reason", "stopReason", "done_reason")
CUT_SHORT = frozenset({"length", "max_tokens", "model_length"})
TOP_LOGPROBS = {"logprobs": True, "top_logprobs": 20}
IN_EXECUTOR = (BaseChatModel._agenerate, SimpleChatModel._agenerate, BaseLLM._agenerate)


def as_model(value: Any) -> Any:
    """A tamis model for a LangChain one; anything else is returned as it is, to be judged by tamis."""
    if isinstance(value, Runnable):
        return LangChainChat(value)
    if isinstance(value, Embeddings):
        return LangChainEmbeddings(value)
    return LangChainCrossEncoder(value) if isinstance(value, BaseCrossEncoder) else value


class LangChainChat:
    """A chat model, a plain text model, or any runnable made of one (`bind`, `with_retry`, `with_fallbacks`).

    Args:
        llm: takes messages and gives a message or a string. Temperature, output limit and the like are its own
            settings. It need not be bound to a schema: tamis reads JSON from text.
        name: for traces; default: the model's own.
        logprobs: whether it can show the log-probabilities of tokens, which pipelines such as `pointwise` need.
            Default: yes for the models of `langchain-openai`, no for others.
        max_concurrency: calls at once.

    Invocations belong to the run they are made in: callbacks and traces reach them. A model without an async method
    of its own has no `agenerate` here, so that it runs in tamis's threads and not in the few of asyncio's executor.
    """

    max_batch = 1

    def __init__(
        self,
        llm: Runnable[Any, Any],
        *,
        name: str | None = None,
        logprobs: bool | None = None,
        max_concurrency: int = 16,
    ) -> None:
        inner = unbound(llm)
        self._llm = llm
        self.name = name or _name(inner)
        self.max_concurrency = max_concurrency
        self.cache_key = _object_key(inner)
        self.context_window = (getattr(inner, "profile", None) or {}).get("max_input_tokens")
        shows = _is_openai(inner) if logprobs is None else logprobs
        self.capabilities = ("generate", "choice_logprobs") if shows else ("generate",)
        if has_async(inner):
            setattr(self, "agenerate", self._agenerate)  # noqa: B010
            setattr(self, "achoice_logprobs", self._achoice_logprobs)  # noqa: B010

    def generate(self, calls: Sequence[Generate]) -> list[Generated | Failure]:
        return [_generated(self._llm.invoke(_messages(call.messages), **_options(call))) for call in calls]

    async def _agenerate(self, calls: Sequence[Generate]) -> list[Generated | Failure]:
        return [_generated(await self._llm.ainvoke(_messages(call.messages), **_options(call))) for call in calls]

    def choice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Logprobs | Failure]:
        llm = self._llm.bind(**TOP_LOGPROBS)
        return [_logprobs(llm.invoke(_messages(call.messages)), call.choices) for call in calls]

    async def _achoice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Logprobs | Failure]:
        llm = self._llm.bind(**TOP_LOGPROBS)
        return [_logprobs(await llm.ainvoke(_messages(call.messages)), call.choices) for call in calls]


class LangChainEmbeddings:
    """An embedding model. `max_batch`: texts a request."""

    def __init__(
        self, embeddings: Embeddings, *, name: str | None = None, max_batch: int = 64, max_concurrency: int = 4
    ) -> None:
        self._embeddings = embeddings
        self.name = name or _name(embeddings)
        self.max_batch = max_batch
        self.max_concurrency = max_concurrency
        self.cache_key = _object_key(embeddings)
        if type(embeddings).aembed_documents is not Embeddings.aembed_documents:
            setattr(self, "aembed", self._aembed)  # noqa: B010

    def embed(self, calls: Sequence[Embed]) -> list[Vector]:
        passages = _passages(calls)
        queries = [self._embeddings.embed_query(call.text) for call in calls if call.role == "query"]
        return self._vectors(calls, queries, self._embeddings.embed_documents(passages) if passages else [])

    async def _aembed(self, calls: Sequence[Embed]) -> list[Vector]:
        passages = _passages(calls)
        queries = [await self._embeddings.aembed_query(call.text) for call in calls if call.role == "query"]
        return self._vectors(calls, queries, await self._embeddings.aembed_documents(passages) if passages else [])

    def _vectors(self, calls: Sequence[Embed], queries: Sequence[Any], passages: Sequence[Any]) -> list[Vector]:
        _same_number(self.name, passages, _passages(calls))
        by_role = {"query": iter(queries), "passage": iter(passages)}
        return [Vector(tuple(map(float, next(by_role[call.role])))) for call in calls]


class LangChainCrossEncoder:
    """A cross-encoder; LangChain's are sync, so the engine runs it in a thread. `scale`: what its scores mean."""

    def __init__(
        self,
        cross_encoder: BaseCrossEncoder,
        *,
        name: str | None = None,
        scale: Scale = UNKNOWN,
        max_batch: int = 32,
        max_concurrency: int = 1,
    ) -> None:
        self._cross_encoder = cross_encoder
        self.name = name or _name(cross_encoder)
        self.scale = scale
        self.max_batch = max_batch
        self.max_concurrency = max_concurrency
        self.cache_key = _object_key(cross_encoder)

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        scores = self._cross_encoder.score([(call.query, call.text) for call in calls])
        _same_number(self.name, scores, calls)
        return [Score(float(score)) for score in scores]


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


def _name(model: Any) -> str:
    names = (getattr(model, attribute, None) for attribute in ("model_name", "model"))
    return next((name for name in names if name and isinstance(name, str)), type(model).__name__)


def _object_key(model: Any) -> str:
    return f"object:{type(model).__qualname__}:{uuid.uuid4().hex}"


def _messages(messages: Sequence[Message]) -> list[BaseMessage]:
    return [ROLES[message.role](content=message.content) for message in messages]


def _options(call: Generate) -> dict[str, Any]:
    return {"stop": list(call.stop)} if call.stop else {}


def _generated(reply: Any) -> Generated | Failure:
    if isinstance(reply, str):
        return Generated(str(reply))
    if not isinstance(reply, BaseMessage):
        return Failure("malformed", f"the runnable gave {type(reply).__name__}; it must give a message or a string")
    finish = {str(reply.response_metadata.get(key)).lower() for key in FINISH}
    return Generated(str(reply.text), finish.isdisjoint(CUT_SHORT), **_usage(reply))


def _logprobs(reply: Any, labels: Sequence[str]) -> Logprobs | Failure:
    try:
        top = reply.response_metadata["logprobs"]["content"][0]["top_logprobs"]
        pairs = [(str(entry["token"]), float(entry["logprob"])) for entry in top]
    except (AttributeError, LookupError, TypeError, ValueError):
        return Failure("malformed", "the reply shows no log-probabilities (response_metadata['logprobs'])")
    found = label_logprobs(pairs, labels)
    return found if isinstance(found, Failure) else Logprobs(found.values, **_usage(reply))


def _usage(reply: Any) -> dict[str, int | None]:
    usage = getattr(reply, "usage_metadata", None) or {}
    return {"tokens_in": usage.get("input_tokens"), "tokens_out": usage.get("output_tokens")}


def _passages(calls: Sequence[Embed]) -> list[str]:
    return [call.text for call in calls if call.role == "passage"]


def _same_number(name: str, got: Any, asked: Sequence[Any]) -> None:
    if len(got) != len(asked):
        raise ModelError(f"{name} gave {len(got)} results for {len(asked)} texts")
