"""A model that takes a fixed time a call and grades by script, behind the LLM class of each framework.

Passages carry a number (`Note 037`), from which their true grade follows. The model finds the numbers in whatever
prompt it gets and answers in the format its `Format` describes, whole or broken in a given way.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from haystack import component
from haystack.dataclasses import ChatMessage
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import PydanticOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata

NOTE = re.compile(r"Note (\d{3})")


def passage(number: int) -> str:
    return f"Note {number:03}: " + "a passage of a few dozen words about something or other. " * 6


def grade(number: int) -> int:
    """4..10: every passage is relevant, so none may go missing."""
    return 4 + number * 5 % 7


@dataclass(frozen=True)
class Format:
    """How an answer over several passages is written: entries between `head` and `tail`."""

    head: str
    entry: Callable[[Any, Any], str]
    separator: str
    tail: str
    first: int = 1
    """The number of the first passage of a prompt."""

    def write(self, grades: Sequence[int], flaw: str = "none") -> str:
        """The answer, best passage first, with `flaw` (one of `FLAWS`)."""
        count = len(grades)
        order = sorted(range(count), key=lambda place: -grades[place])
        told: list[tuple[Any, Any]] = [(place + self.first, grades[place]) for place in order]
        middle = count // 2
        match flaw:
            case "an id past the end":
                told[middle] = (count + self.first, told[middle][1])
            case "an id before the start":
                told[middle] = (self.first - 1, told[middle][1])
            case "an id twice":
                told.append(told[0])
            case "one score in words":
                told[middle] = (told[middle][0], "high")
            case "all scores in words":
                told = [(number, "high") for number, _ in told]
        entries = [self.entry(number, score) for number, score in told]
        if flaw == "one entry malformed":
            entries[middle] = re.sub("[:,]", "", entries[middle]) + " ?"
        text = self.head + self.separator.join(entries) + self.tail
        return flawed(text, flaw)


def flawed(text: str, flaw: str) -> str:
    """`text` with a flaw that does not depend on its format."""
    match flaw:
        case "refusal in prose":
            return "I am sorry, but I cannot judge these documents."
        case "empty":
            return ""
        case "code fences":
            return f"```\n{text}\n```"
        case "cut short":
            return text[: len(text) * 3 // 5]
    return text


FLAWS = (
    "none",
    "refusal in prose",
    "empty",
    "code fences",
    "cut short",
    "one entry malformed",
    "an id past the end",
    "an id before the start",
    "an id twice",
    "one score in words",
    "all scores in words",
)

NOTHING_ELSE = '"depth": 0, "diversity": 0, "clarity": 0, "authoritativeness": 0, "recency": 0, "reason": ""'
RUBRIC = Format(
    '{"passages": [',
    lambda n, g: f'{{"passage": {n}, "relevance": {quoted(g)}, {NOTHING_ELSE}}}',
    ",\n",
    "]}",
)
PERMUTATION = Format("", lambda n, g: f"[{n}]", " > ", "")
DOC_RELEVANCE = Format("", lambda n, g: f"Doc: {n}, Relevance: {g}", "\n", "")
RANKED_IDS = Format('{"ranked_document_ids": [', lambda n, g: str(n), ", ", "]}", first=0)
INDEX_LIST = Format('{"documents": [', lambda n, g: f'{{"index": {n}}}', ",\n", "]}")


def quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


class YesNo:
    """The answer about one passage."""

    def write(self, grades: Sequence[int], flaw: str = "none") -> str:
        return flawed("HIGH" if "in words" in flaw else "YES", flaw)


class Provider:
    """Answers prompts after `delay` seconds and counts: `calls`, and `most` at once."""

    def __init__(self, answer: Format | YesNo, delay: float = 0.0, flaw: str = "none") -> None:
        self.answer, self.delay, self.flaw = answer, delay, flaw
        self.calls = self.most = self._now = 0
        self._lock = threading.Lock()

    def ask(self, prompt: str) -> str:
        self._enter()
        time.sleep(self.delay)
        return self._leave(prompt)

    async def aask(self, prompt: str) -> str:
        self._enter()
        await asyncio.sleep(self.delay)
        return self._leave(prompt)

    def _enter(self) -> None:
        with self._lock:
            self.calls += 1
            self._now += 1
            self.most = max(self.most, self._now)

    def _leave(self, prompt: str) -> str:
        with self._lock:
            self._now -= 1
        return self.answer.write([grade(int(number)) for number in NOTE.findall(prompt)], self.flaw)


class BlockingLLM(CustomLLM):
    """LlamaIndex, as most people write their own: `complete` and nothing else."""

    provider: Any

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=1_000_000)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.provider.ask(prompt))

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise NotImplementedError


class NativeLLM(BlockingLLM):
    """LlamaIndex, with an async method of its own."""

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=await self.provider.aask(prompt))


class ChatModel(BaseChatModel):
    """LangChain. Structured output is JSON in the text, read by LangChain's own parser."""

    provider: Any

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return self._result(self.provider.ask(_text(messages)))

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return self._result(await self.provider.aask(_text(messages)))

    def _result(self, text: str) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **kwargs: Any) -> Runnable[Any, Any]:
        return self | PydanticOutputParser(pydantic_object=schema)


def _text(messages: Sequence[BaseMessage]) -> str:
    return "\n".join(message.text for message in messages)


@component
class ChatGenerator:
    """Haystack."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    @component.output_types(replies=list[ChatMessage])
    def run(self, messages: list[ChatMessage]) -> dict[str, list[ChatMessage]]:
        return {"replies": [ChatMessage.from_assistant(self.provider.ask(messages[-1].text or ""))]}

    @component.output_types(replies=list[ChatMessage])
    async def run_async(self, messages: list[ChatMessage]) -> dict[str, list[ChatMessage]]:
        return {"replies": [ChatMessage.from_assistant(await self.provider.aask(messages[-1].text or ""))]}
