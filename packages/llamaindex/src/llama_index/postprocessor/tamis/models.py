"""LlamaIndex models as tamis models."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, MessageRole
from llama_index.core.llms import CustomLLM

from tamis.adapters.models import ChatModel, EmbeddingModel, Reply, Role, Vectors, ended, name_of, usage_of
from tamis.values.calls import ChoiceLogprobs, Generate, Message

Response = ChatResponse | CompletionResponse


def as_model(value: Any) -> Any:
    """A tamis model for a LlamaIndex one; anything else is returned as it is, to be judged by tamis."""
    if isinstance(value, BaseLLM):
        return LlamaIndexLLM(value)
    return LlamaIndexEmbedding(value) if isinstance(value, BaseEmbedding) else value


class LlamaIndexLLM(ChatModel):
    """A LlamaIndex LLM as a tamis model: `generate`, and `choice_logprobs` where the LLM can show log-probabilities.

    Chat models are asked by `chat`, the others by `complete`. Temperature, output length and output format are as the
    LLM was made: nothing is passed to it but `options`, keyword arguments for every call, such as `{"temperature": 0}`.

    Args:
        llm: any LlamaIndex LLM.
        options: see above.
        name: for traces; default: the LLM's own.
        logprobs: whether `chat(..., logprobs=True, top_logprobs=20, max_tokens=1)` works. Default: if the LLM has the
            fields `logprobs` and `top_logprobs`, as the OpenAI integration and its descendants have.
        native_async: whether its async methods leave the event loop free. Default: unless they are the ones of
            `CustomLLM`, which block. Without them the engine runs the sync ones in threads.
        max_concurrency: calls at the same time.
        cache_key: see `tamis.adapters.models.LiveModel`.

    >>> Rebel(LlamaIndexLLM(OpenAI("gpt-4o-mini"), options={"temperature": 0}))  # doctest: +SKIP
    """

    def __init__(
        self,
        llm: BaseLLM,
        *,
        options: Mapping[str, Any] | None = None,
        name: str | None = None,
        logprobs: bool | None = None,
        native_async: bool | None = None,
        max_concurrency: int = 16,
        cache_key: str | None = None,
    ) -> None:
        about = llm.metadata
        self._chats = about.is_chat_model
        can_show = {"logprobs", "top_logprobs"} <= set(type(llm).model_fields)
        blocks = _inherits(llm, CustomLLM, "achat" if self._chats else "acomplete")
        super().__init__(
            llm,
            name=name or name_of(about, llm),
            logprobs=can_show if logprobs is None else logprobs,
            native_async=not blocks if native_async is None else native_async,
            max_concurrency=max_concurrency,
            cache_key=cache_key,
        )
        self.llm = llm
        self.options = dict(options or {})
        self.context_window = about.context_window
        self._roles = {"system": about.system_role, "user": MessageRole.USER, "assistant": MessageRole.ASSISTANT}

    def _ask(self, call: Generate | ChoiceLogprobs) -> Reply:
        messages, options = self._messages(call.messages), self._options(call)
        if self._chats:
            return _reply(self.llm.chat(messages, **options))
        return _reply(self.llm.complete(self._prompt(messages), formatted=True, **options))

    async def _aask(self, call: Generate | ChoiceLogprobs) -> Reply:
        messages, options = self._messages(call.messages), self._options(call)
        if self._chats:
            return _reply(await self.llm.achat(messages, **options))
        return _reply(await self.llm.acomplete(self._prompt(messages), formatted=True, **options))

    def _options(self, call: Generate | ChoiceLogprobs) -> dict[str, Any]:
        """With what makes an OpenAI-like server show the likeliest tokens; its completion endpoint takes at most 5."""
        if isinstance(call, Generate):
            return self.options
        shown = {"logprobs": True, "top_logprobs": 20} if self._chats else {"logprobs": 5}
        return {**self.options, "max_tokens": 1, **shown}

    def _messages(self, messages: Sequence[Message]) -> list[ChatMessage]:
        return [ChatMessage(role=self._roles[message.role], content=message.content) for message in messages]

    def _prompt(self, messages: list[ChatMessage]) -> str:
        """In the LLM's own chat template when it has one."""
        template = getattr(self.llm, "messages_to_prompt", None)
        return template(messages) if template else "\n\n".join(message.content or "" for message in messages)


class LlamaIndexEmbedding(EmbeddingModel):
    """A LlamaIndex embedding model as a tamis model. Queries and passages go through their own methods, in batches of
    `embed_batch_size`.

    `native_async`: whether its async methods leave the event loop free. Default: if it has an async batch method of its
    own; the inherited one, and many single-text ones, block. Without them the engine runs the sync ones in threads.
    """

    def __init__(
        self,
        embed_model: BaseEmbedding,
        *,
        name: str | None = None,
        native_async: bool | None = None,
        max_concurrency: int = 4,
        cache_key: str | None = None,
    ) -> None:
        blocks = _inherits(embed_model, BaseEmbedding, "_aget_text_embeddings")
        super().__init__(
            embed_model,
            name=name,
            native_async=not blocks if native_async is None else native_async,
            max_batch=embed_model.embed_batch_size,
            max_concurrency=max_concurrency,
            cache_key=cache_key,
        )
        self.embed_model = embed_model

    def _embed(self, texts: list[str], role: Role) -> Vectors:
        if role == "query":
            return [self.embed_model.get_query_embedding(text) for text in texts]
        return self.embed_model.get_text_embedding_batch(texts)

    async def _aembed(self, texts: list[str], role: Role) -> Vectors:
        if role == "query":
            return [await self.embed_model.aget_query_embedding(text) for text in texts]
        return await self.embed_model.aget_text_embedding_batch(texts)


def _inherits(value: Any, base: type, method: str) -> bool:
    """Whether `method` is still the one `base` defines."""
    missing = object()
    return inspect.getattr_static(type(value), method, missing) is inspect.getattr_static(base, method)


def _reply(response: Response) -> Reply:
    text = response.message.content if isinstance(response, ChatResponse) else response.text
    first = response.logprobs[0] if response.logprobs else []
    raw = response.raw
    usage = raw.get("usage") if isinstance(raw, Mapping) else getattr(raw, "usage", None)
    top = [(top.token, top.logprob) for top in first or []]
    ending = ended(raw) if raw else ended(response.additional_kwargs)
    return Reply(
        text, ending.complete, top, stopped_by=ending.stopped_by, **usage_of(usage or response.additional_kwargs)
    )
