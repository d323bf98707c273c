"""LlamaIndex models without a network: an LLM that follows a script, two ways of being async, and hashed words."""

from __future__ import annotations

import asyncio
import json
import re
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata, LogProb
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import LLM, CustomLLM
from llama_index.core.schema import NodeWithScore, TextNode

PASSAGE = re.compile(r'<passage number="(\d+)">\n(.*?)\n</passage>', re.DOTALL)
USAGE = {"usage": {"prompt_tokens": 100, "completion_tokens": 7}}


def passages(prompt: str) -> dict[int, str]:
    """Number and text of every passage shown."""
    return {int(number): text for number, text in PASSAGE.findall(prompt)}


def grader(grades: Mapping[str, Mapping[str, float]], answer: str = "an answer") -> Callable[[str], str]:
    """A script that grades each passage by the first keyword found in it (relevance 0 without one), with a reason."""

    def reply(prompt: str) -> str:
        if not (shown := passages(prompt)):
            return answer
        entries = []
        for number, text in shown.items():
            keyword = next((keyword for keyword in grades if keyword in text), None)
            found = grades[keyword] if keyword else {"relevance": 0}
            entries.append({"passage": number, **found, "reason": f"saw {keyword}"})
        return json.dumps({"passages": entries})

    return reply


class Scripted(LLM):
    """What both LLMs share. `reply(prompt)` writes the answer, after `delay` seconds; `asked` keeps the prompts."""

    reply: Callable[[str], str]
    delay: float = 0.0
    chats: bool = True
    _asked: list[str] = PrivateAttr(default_factory=list)
    _options: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    @property
    def asked(self) -> list[str]:
        return self._asked

    @property
    def options(self) -> list[dict[str, Any]]:
        return self._options

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="scripted", context_window=100_000, is_chat_model=self.chats)

    def _note(self, prompt: str, options: dict[str, Any]) -> str:
        self._asked.append(prompt)
        self._options.append(options)
        return self.reply(prompt)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise NotImplementedError

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        raise NotImplementedError


class BlockingLLM(Scripted, CustomLLM):
    """As most people write their own: only `complete`. Its inherited async methods block the event loop."""

    chats: bool = False

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        time.sleep(self.delay)
        return CompletionResponse(text=self._note(prompt, {"formatted": formatted, **kwargs}), raw=USAGE)


class NativeLLM(Scripted):
    """A chat model with async methods of its own, and no other."""

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        time.sleep(self.delay)
        return self._answer(messages, kwargs)

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        await asyncio.sleep(self.delay)
        return self._answer(messages, kwargs)

    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> ChatResponse:
        text = self._note("\n".join(f"{message.role.value}: {message.content}" for message in messages), options)
        return ChatResponse(message=ChatMessage(role="assistant", content=text), raw=USAGE)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._note(prompt, kwargs))

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._note(prompt, kwargs))

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        raise NotImplementedError


class LogprobLLM(NativeLLM):
    """Shows token probabilities, as the OpenAI integration does. `reply` writes the log-probability of "Yes"."""

    logprobs: bool | None = None
    top_logprobs: int = 0

    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> ChatResponse:
        response = super()._answer(messages, options)
        if options.get("logprobs"):
            yes = float(response.message.content or "0")
            response.logprobs = [[LogProb(token=" Yes", logprob=yes), LogProb(token="No", logprob=-1.0)]]
        return response


class HashedWords(BaseEmbedding):
    """Normalised counts of hashed words. `get_text_embedding_batch` is called with what `texts` records."""

    size: int = 256
    _texts: list[list[str]] = PrivateAttr(default_factory=list)
    _queries: list[str] = PrivateAttr(default_factory=list)

    @property
    def texts(self) -> list[list[str]]:
        return self._texts

    @property
    def queries(self) -> list[str]:
        return self._queries

    def vector(self, text: str) -> list[float]:
        counts = np.zeros(self.size)
        for word in re.findall(r"\w+", text.lower()):
            counts[zlib.crc32(word.encode()) % self.size] += 1.0
        return list(counts / (np.linalg.norm(counts) or 1.0))

    def _get_query_embedding(self, query: str) -> list[float]:
        self._queries.append(query)
        return self.vector(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self.vector(text)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        self._texts.append(list(texts))
        return [self.vector(text) for text in texts]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


class NativeHashedWords(HashedWords):
    """The same with an async batch method of its own."""

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        await asyncio.sleep(0)
        return self._get_text_embeddings(texts)


def nodes_of(*texts: str, **metadata: Any) -> list[NodeWithScore]:
    """Nodes `n0`, `n1`, ... with falling retrieval scores."""
    return [
        NodeWithScore(node=TextNode(text=text, id_=f"n{index}", metadata=dict(metadata)), score=0.9 - index / 100)
        for index, text in enumerate(texts)
    ]


def ids(nodes: Sequence[NodeWithScore]) -> list[str]:
    return [node.node_id for node in nodes]
