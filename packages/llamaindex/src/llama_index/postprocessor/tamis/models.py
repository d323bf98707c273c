"""LlamaIndex models as tamis models."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, MessageRole
from llama_index.core.llms import CustomLLM

from tamis.models.served.labels import label_logprobs
from tamis.values.calls import ChoiceLogprobs, Embed, Failure, Generate, Generated, Logprobs, Message, Vector

Response = ChatResponse | CompletionResponse


def to_model(value: Any) -> Any:
    """The tamis model for a LlamaIndex LLM or embedding model; anything else is taken to be one already."""
    if isinstance(value, BaseLLM):
        return LlamaIndexLLM(value)
    return LlamaIndexEmbedding(value) if isinstance(value, BaseEmbedding) else value


class LlamaIndexLLM:
    """A LlamaIndex LLM as a tamis model: `generate`, and `choice_logprobs` where the LLM can show log-probabilities.

    Chat models are asked by `chat`, the others by `complete`. Temperature, output length and output format are as the
    LLM was made: nothing is passed to it but `options`, keyword arguments for every call, such as `{"temperature": 0}`.

    Args:
        logprobs: whether `chat(..., logprobs=True, top_logprobs=20, max_tokens=1)` works. Default: if the LLM has the
            fields `logprobs` and `top_logprobs`, as the OpenAI integration and its descendants have.
        native_async: whether its async methods leave the event loop free. Default: unless they are the ones of
            `CustomLLM`, which block. Without them the engine runs the sync ones in threads.
        max_concurrency: calls at once.

    >>> Rebel(LlamaIndexLLM(OpenAI("gpt-4o-mini"), options={"temperature": 0}))  # doctest: +SKIP
    """

    max_batch = 1

    def __init__(
        self,
        llm: BaseLLM,
        *,
        options: Mapping[str, Any] | None = None,
        logprobs: bool | None = None,
        native_async: bool | None = None,
        max_concurrency: int = 16,
    ) -> None:
        about = llm.metadata
        self.llm = llm
        self.options = dict(options or {})
        self.name = about.model_name if about.model_name != "unknown" else llm.class_name()
        self.context_window = about.context_window
        self.max_concurrency = max_concurrency
        self.cache_key = _cache_key(llm, self.name)
        self._chats = about.is_chat_model
        self._roles = {"system": about.system_role, "user": MessageRole.USER, "assistant": MessageRole.ASSISTANT}
        can_show = {"logprobs", "top_logprobs"} <= set(type(llm).model_fields) if logprobs is None else logprobs
        self.capabilities = ("generate", "choice_logprobs") if can_show else ("generate",)
        blocks = _inherits(llm, CustomLLM, "achat" if self._chats else "acomplete")
        if not blocks if native_async is None else native_async:
            self.agenerate = self._agenerate
            self.achoice_logprobs = self._achoice_logprobs

    def generate(self, calls: Sequence[Generate]) -> list[Generated]:
        return [_generated(self._ask(call.messages)) for call in calls]

    async def _agenerate(self, calls: Sequence[Generate]) -> list[Generated]:
        return [_generated(await self._aask(call.messages)) for call in calls]

    def choice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Logprobs | Failure]:
        return [_logprobs(self._ask(call.messages, **self._showing), call.choices) for call in calls]

    async def _achoice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Logprobs | Failure]:
        return [_logprobs(await self._aask(call.messages, **self._showing), call.choices) for call in calls]

    @property
    def _showing(self) -> dict[str, Any]:
        """What makes an OpenAI-like server show the likeliest tokens; its completion endpoint takes at most 5."""
        return {"max_tokens": 1, **({"logprobs": True, "top_logprobs": 20} if self._chats else {"logprobs": 5})}

    def _ask(self, messages: Sequence[Message], **options: Any) -> Response:
        told, options = self._told(messages), {**self.options, **options}
        if self._chats:
            return self.llm.chat(told, **options)
        return self.llm.complete(self._prompt(told), formatted=True, **options)

    async def _aask(self, messages: Sequence[Message], **options: Any) -> Response:
        told, options = self._told(messages), {**self.options, **options}
        if self._chats:
            return await self.llm.achat(told, **options)
        return await self.llm.acomplete(self._prompt(told), formatted=True, **options)

    def _told(self, messages: Sequence[Message]) -> list[ChatMessage]:
        return [ChatMessage(role=self._roles[message.role], content=message.content) for message in messages]

    def _prompt(self, messages: list[ChatMessage]) -> str:
        """In the LLM's own chat template when it has one."""
        template = getattr(self.llm, "messages_to_prompt", None)
        return template(messages) if template else "\n\n".join(message.content or "" for message in messages)


class LlamaIndexEmbedding:
    """A LlamaIndex embedding model as a tamis model. Queries and passages go through their own methods, in batches of
    `embed_batch_size`.

    `native_async`: whether its async methods leave the event loop free. Default: if it has an async batch method of its
    own; the inherited one, and many single-text ones, block. Without them the engine runs the sync ones in threads.
    """

    capabilities = ("embed",)

    def __init__(
        self, embed_model: BaseEmbedding, *, native_async: bool | None = None, max_concurrency: int = 4
    ) -> None:
        self.embed_model = embed_model
        self.name = embed_model.model_name if embed_model.model_name != "unknown" else embed_model.class_name()
        self.max_batch = embed_model.embed_batch_size
        self.max_concurrency = max_concurrency
        self.cache_key = _cache_key(embed_model, self.name)
        blocks = _inherits(embed_model, BaseEmbedding, "_aget_text_embeddings")
        if not blocks if native_async is None else native_async:
            self.aembed = self._aembed

    def embed(self, calls: Sequence[Embed]) -> list[Vector | Failure]:
        queries = [self.embed_model.get_query_embedding(text) for text in _texts(calls, "query")]
        return _vectors(calls, queries, self.embed_model.get_text_embedding_batch(_texts(calls, "passage")))

    async def _aembed(self, calls: Sequence[Embed]) -> list[Vector | Failure]:
        queries = [await self.embed_model.aget_query_embedding(text) for text in _texts(calls, "query")]
        return _vectors(calls, queries, await self.embed_model.aget_text_embedding_batch(_texts(calls, "passage")))


def _cache_key(model: Any, name: str) -> str:
    """Answers of a live object are remembered in memory only, and never shared with another object."""
    return f"object:{type(model).__module__}.{type(model).__qualname__}:{name}:{uuid.uuid4().hex}"


def _inherits(value: Any, base: type, method: str) -> bool:
    """Whether `method` is still the one `base` defines."""
    missing = object()
    return inspect.getattr_static(type(value), method, missing) is inspect.getattr_static(base, method)


def _generated(response: Response) -> Generated:
    text = response.message.content if isinstance(response, ChatResponse) else response.text
    tokens_in, tokens_out = _usage(response)
    return Generated(text or "", tokens_in=tokens_in, tokens_out=tokens_out)


def _logprobs(response: Response, choices: Sequence[str]) -> Logprobs | Failure:
    if not response.logprobs or not response.logprobs[0]:
        return Failure("malformed", "the LLM showed no log-probabilities; take a pipeline that generates instead")
    found = label_logprobs([(top.token, top.logprob) for top in response.logprobs[0]], choices)
    tokens_in, tokens_out = _usage(response)
    return found if isinstance(found, Failure) else replace(found, tokens_in=tokens_in, tokens_out=tokens_out)


def _usage(response: Response) -> tuple[int | None, int | None]:
    """Tokens in and out, where the provider's raw answer tells them."""
    usage = _get(response.raw, "usage") or response.additional_kwargs
    return _count(usage, "prompt_tokens", "input_tokens"), _count(usage, "completion_tokens", "output_tokens")


def _count(usage: Any, *names: str) -> int | None:
    return next((value for name in names if isinstance(value := _get(usage, name), int)), None)


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _texts(calls: Sequence[Embed], role: str) -> list[str]:
    return [call.text for call in calls if call.role == role]


def _vectors(
    calls: Sequence[Embed], queries: Sequence[Sequence[float]], passages: Sequence[Sequence[float]]
) -> list[Vector | Failure]:
    """One answer a call, in the order of the calls."""
    vectors = {"query": iter(queries), "passage": iter(passages)}
    found = [next(vectors[call.role], None) for call in calls]
    missing = Failure("malformed", "the embedding model gave fewer vectors than texts")
    return [missing if vector is None else Vector(tuple(map(float, vector))) for vector in found]
