"""LangChain models that answer by script, and documents to rank."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import LLM, BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

QUERY = "how do I parse an ISO date in Python?"
PASSAGE = re.compile(r'<passage number="\d+">\n(.*?)\n</passage>', re.DOTALL)
LOCK = threading.Lock()


def documents() -> list[Document]:
    """Best to worst for `QUERY` and `grades`: c, a, b; d is off topic (relevance 1)."""
    return [
        Document("Parse an ISO date with strptime and a format.", id="a", metadata={"source": "blog", "tags": ["x"]}),
        Document("A date is stored in the column called day.", id="b", metadata={"source": "wiki", "score": 0.7}),
        Document("Parse an ISO date in Python: datetime.fromisoformat, in depth.", id="c", metadata={"id": "no"}),
        Document("Bake the cake for forty minutes.", id="d", metadata={"source": "cookbook", "score": 0.9}),
    ]


def ids(found: Sequence[Document]) -> list[str]:
    return [str(document.id) for document in found]


def grade(text: str) -> dict[str, Any]:
    """REBEL grades by keywords."""
    relevance = 9 if "ISO" in text else 4 if "date" in text else 1
    rest = {"diversity": 0, "authoritativeness": 0, "recency": 0, "reason": "by keywords"}
    return {"relevance": relevance, "depth": 5 if "depth" in text else 1, "clarity": 3, **rest}


def grades(passages: Sequence[str]) -> str:
    return json.dumps({"passages": [{"passage": n, **grade(text)} for n, text in enumerate(passages, 1)]})


class SyncJudge(BaseChatModel):
    """A chat model with no async method of its own. `answer` makes text, a message or an error from the passages."""

    answer: Callable[[Sequence[str]], Any] = grades
    delay: float = 0.0
    asked: list[tuple[list[BaseMessage], dict[str, Any]]] = Field(default_factory=list)
    running: int = 0
    most: int = 0

    @property
    def _llm_type(self) -> str:
        return "judge"

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **more: Any
    ) -> ChatResult:
        self._enter(messages, {"stop": stop, **more} if stop else more)
        try:
            time.sleep(self.delay)
            return self._result(messages)
        finally:
            self._leave()

    def _enter(self, messages: list[BaseMessage], options: dict[str, Any]) -> None:
        with LOCK:
            self.asked.append((messages, options))
            self.running += 1
            self.most = max(self.most, self.running)

    def _leave(self) -> None:
        with LOCK:
            self.running -= 1

    def _result(self, messages: list[BaseMessage]) -> ChatResult:
        answer = self.answer(PASSAGE.findall(messages[-1].text))
        if isinstance(answer, Exception):
            raise answer
        message = answer if isinstance(answer, AIMessage) else AIMessage(answer)
        return ChatResult(generations=[ChatGeneration(message=message)])


class AsyncJudge(SyncJudge):
    """The same, natively async."""

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **more: Any
    ) -> ChatResult:
        self._enter(messages, {"stop": stop, **more} if stop else more)
        try:
            await asyncio.sleep(self.delay)
            return self._result(messages)
        finally:
            self._leave()


class TextJudge(LLM):
    """A plain text model: takes one string, gives one string."""

    @property
    def _llm_type(self) -> str:
        return "text-judge"

    def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **more: Any) -> str:
        return grades(PASSAGE.findall(prompt))


class AsyncTextJudge(TextJudge):
    async def _acall(self, prompt: str, stop: Any = None, run_manager: Any = None, **more: Any) -> str:
        return self._call(prompt)


def yes_or_no(passages: Sequence[str]) -> AIMessage:
    """As an OpenAI-like model with log-probabilities: the likelier "Yes", the more of the keywords are there."""
    yes = -0.1 * (10 - grade(passages[0])["relevance"])
    top = [{"token": "Yes", "logprob": yes}, {"token": " No", "logprob": -1.0}, {"token": "Maybe", "logprob": -5.0}]
    return AIMessage(
        "Yes",
        response_metadata={"logprobs": {"content": [{"token": "Yes", "logprob": yes, "top_logprobs": top}]}},
        usage_metadata={"input_tokens": 50, "output_tokens": 1, "total_tokens": 51},
    )


class BagOfWords(Embeddings):
    """Hashed counts of words."""

    def __init__(self, size: int = 64) -> None:
        self.size = size
        self.batches: list[int] = []

    def embed_query(self, text: str) -> list[float]:
        vector = [0.0] * self.size
        for word in re.findall(r"\w+", text.lower()):
            vector[zlib.crc32(word.encode()) % self.size] += 1.0
        return vector

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.batches.append(len(texts))
        return [self.embed_query(text) for text in texts]


class AsyncBagOfWords(BagOfWords):
    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        await asyncio.sleep(0)
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)


class Overlap:
    """Counts the query's words in the text. A cross-encoder by its `score`, whatever the base class."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def score(self, text_pairs: list[tuple[str, str]]) -> list[float]:
        self.batches.append(len(text_pairs))
        return [
            float(len(set(re.findall(r"\w+", query.lower())) & set(re.findall(r"\w+", text.lower()))))
            for query, text in text_pairs
        ]
