"""Haystack's chat generators and text embedders as tamis models."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal
from uuid import uuid4

from haystack.components.embedders.types import TextEmbedder
from haystack.components.generators.chat.types import ChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tracing.tracer import Span, tracer

from tamis.errors import ConfigError
from tamis.models.served.labels import label_logprobs
from tamis.values.calls import Call, Capability, ChoiceLogprobs, Embed, Failure, Generate, Generated, Logprobs, Vector

Setting = Literal["max_tokens", "temperature", "response_format"]
AS_MESSAGE = {
    "system": ChatMessage.from_system,
    "user": ChatMessage.from_user,
    "assistant": ChatMessage.from_assistant,
}


class HaystackChat:
    """A Haystack chat generator as a tamis model that can `generate`.

    It also gives `choice_logprobs` when its own `generation_kwargs` ask for log-probabilities, as in
    `OpenAIChatGenerator(generation_kwargs={"logprobs": True, "top_logprobs": 20})`.

    Args:
        chat_generator: any component with `run(messages)`. Async pipelines await its `run_async`; without one it works
            in threads.
        forward: which settings of a call to send along as `generation_kwargs`, in OpenAI's words. None by default: the
            generator's own stand. `ConfigError` for a generator whose `run` takes no `generation_kwargs`.

    Every call is traced in a span `haystack.chat_generator.run`, as Haystack's own rankers do.
    """

    max_concurrency = 16
    max_batch = 1

    def __init__(self, chat_generator: ChatGenerator, *, forward: Sequence[Setting] = ()) -> None:
        _check(chat_generator, "a chat generator", "run(messages)")
        if forward and "generation_kwargs" not in inspect.signature(chat_generator.run).parameters:
            raise ConfigError(f"{type(chat_generator).__name__}.run takes no generation_kwargs to forward {forward} in")
        self.component = chat_generator
        self.forward = tuple(forward)
        self.name = str(getattr(chat_generator, "model", None) or type(chat_generator).__name__)
        self.cache_key = f"object:{type(chat_generator).__name__}:{uuid4().hex}"
        kwargs = getattr(chat_generator, "generation_kwargs", None)
        declared = isinstance(kwargs, Mapping) and bool(kwargs.get("logprobs"))
        self.capabilities: tuple[Capability, ...] = ("generate", "choice_logprobs") if declared else ("generate",)
        if hasattr(chat_generator, "run_async"):
            self.agenerate = self.achoice_logprobs = self._answers_async

    def generate(self, calls: Sequence[Generate]) -> list[Generated | Failure]:
        return self._answers(calls)

    def choice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Logprobs | Failure]:
        return self._answers(calls)

    def _answers(self, calls: Sequence[Any]) -> list[Any]:
        answers = []
        for call in calls:
            with self._span(call) as (arguments, span):
                result = self.component.run(**arguments)
                span.set_content_tag("haystack.component.output", result)
            answers.append(_answer(call, result))
        return answers

    async def _answers_async(self, calls: Sequence[Any]) -> list[Any]:
        answers = []
        for call in calls:
            with self._span(call) as (arguments, span):
                result = await self.component.run_async(**arguments)  # type: ignore[attr-defined]
                span.set_content_tag("haystack.component.output", result)
            answers.append(_answer(call, result))
        return answers

    @contextmanager
    def _span(self, call: Generate | ChoiceLogprobs) -> Iterator[tuple[dict[str, Any], Span]]:
        """What to call the generator with, and a span: child of the one that is current where the rerank began."""
        arguments: dict[str, Any] = {"messages": [AS_MESSAGE[m.role](m.content) for m in call.messages]}
        if self.forward and isinstance(call, Generate):
            settings = _settings(call)
            arguments["generation_kwargs"] = {name: settings[name] for name in self.forward if name in settings}
        tags = {"haystack.component.name": "chat_generator", "haystack.component.type": type(self.component).__name__}
        parent = tracer.current_span()
        with tracer.trace("haystack.chat_generator.run", tags=tags, parent_span=parent) as span:
            span.set_content_tag("haystack.component.input", arguments)
            yield arguments, span


class HaystackTextEmbedder:
    """A Haystack text embedder as a tamis model that can `embed`, queries and passages alike, by its `run(text)`."""

    max_concurrency = 16
    max_batch = 1

    def __init__(self, embedder: TextEmbedder) -> None:
        _check(embedder, "a text embedder", "run(text)")
        self.component = embedder
        self.name = str(getattr(embedder, "model", None) or type(embedder).__name__)
        self.cache_key = f"object:{type(embedder).__name__}:{uuid4().hex}"
        if hasattr(embedder, "run_async"):
            self.aembed = self._aembed

    def embed(self, calls: Sequence[Embed]) -> list[Vector | Failure]:
        return [_vector(self.component.run(text=call.text)) for call in calls]

    async def _aembed(self, calls: Sequence[Embed]) -> list[Vector | Failure]:
        return [_vector(await self.component.run_async(text=call.text)) for call in calls]  # type: ignore[attr-defined]


def _settings(call: Generate) -> dict[str, Any]:
    settings: dict[str, Any] = {"max_tokens": call.max_tokens, "temperature": call.temperature}
    if call.schema:
        schema = {"name": "answer", "schema": dict(call.schema)}
        settings["response_format"] = {"type": "json_schema", "json_schema": schema}
    return settings


def _answer(call: Call, result: Mapping[str, Any]) -> Generated | Logprobs | Failure:
    replies = result.get("replies") or [None]
    reply = replies[0]
    if not isinstance(reply, ChatMessage):
        return Failure("malformed", "the chat generator gave no reply")
    usage = reply.meta.get("usage") or {}
    tokens: dict[str, Any] = {
        "tokens_in": usage.get("prompt_tokens", usage.get("input_tokens")),
        "tokens_out": usage.get("completion_tokens", usage.get("output_tokens")),
    }
    if isinstance(call, ChoiceLogprobs):
        answer = label_logprobs(_first_token(reply.meta.get("logprobs")), call.choices)
        return answer if isinstance(answer, Failure) else replace(answer, **tokens)
    if reply.text is None:
        return Failure("malformed", "the chat generator's reply has no text")
    complete = reply.meta.get("finish_reason") not in ("length", "max_tokens")
    return Generated(reply.text, complete, **tokens)


def _first_token(shown: Any) -> list[tuple[str, float]]:
    """The alternatives at the first output position, in OpenAI's form: one object, or a list of them from a stream."""
    if isinstance(shown, list):
        shown = shown[0] if shown else None
    content = (shown or {}).get("content") or [{}]
    alternatives = content[0].get("top_logprobs") or []
    return [(top["token"], top["logprob"]) for top in alternatives if top["logprob"] is not None]


def _vector(result: Mapping[str, Any]) -> Vector | Failure:
    embedding = result.get("embedding")
    if not embedding:
        return Failure("malformed", "the text embedder gave no embedding")
    return Vector(tuple(float(value) for value in embedding))


def _check(component: Any, what: str, method: str) -> None:
    if not callable(getattr(component, "run", None)):
        raise ConfigError(
            f"{type(component).__name__} is not {what}: it has no `{method}`. tamis models go into `models`, by name."
        )
