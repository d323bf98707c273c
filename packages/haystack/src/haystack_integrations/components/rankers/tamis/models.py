"""Haystack's chat generators and text embedders as tamis models."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from haystack.components.embedders.types import TextEmbedder
from haystack.components.generators.chat.types import ChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tracing.tracer import Span, tracer

from tamis.adapters.arguments import limit
from tamis.adapters.models import ChatModel, EmbeddingModel, Reply, Role, Vectors, ended, top_tokens, usage_of
from tamis.errors import ConfigError
from tamis.models.served.habits import THINKING_TOKENS, Habits, habits_of
from tamis.values.answers import Failure
from tamis.values.calls import ChoiceLogprobs, Generate

Setting = Literal["max_tokens", "temperature", "response_format"]
AS_MESSAGE = {
    "system": ChatMessage.from_system,
    "user": ChatMessage.from_user,
    "assistant": ChatMessage.from_assistant,
}


def as_model(value: Any) -> Any:
    """A tamis model for a Haystack one; anything else is returned as it is, to be judged by tamis."""
    parameters = _parameters(value)
    if "messages" in parameters:
        return HaystackChat(value)
    return HaystackTextEmbedder(value) if "text" in parameters else value


class HaystackChat(ChatModel):
    """A Haystack chat generator as a tamis model that can `generate`.

    Args:
        chat_generator: any component with `run(messages)`. Async pipelines await its `run_async`; without one it works
            in threads.
        forward: which settings of a call to send along as `generation_kwargs`, in OpenAI's terms. None by default: the
            generator's own settings. `ConfigError` for a generator whose `run` takes no `generation_kwargs`. Models of
            OpenAI that are known to need it get `max_completion_tokens`, and those that take no temperature none.
        thinking_budget: where `max_tokens` is forwarded, output tokens in which the model may think before each answer,
            on top of it; 0: none. Default: 4096 for a model that is known by its name to think.
        name: for traces; default: the generator's `model`.
        logprobs: whether replies show the log-probabilities of tokens, which pipelines such as `pointwise` need.
            Default: if its own `generation_kwargs` ask for them, as in
            `OpenAIChatGenerator(generation_kwargs={"logprobs": True, "top_logprobs": 20})`.
        max_concurrency: calls at the same time.
        cache_key: see `tamis.adapters.models.LiveModel`.

    Every call is traced in a span `haystack.chat_generator.run`, as Haystack's own rankers do.
    """

    def __init__(
        self,
        chat_generator: ChatGenerator,
        *,
        forward: Sequence[Setting] = (),
        thinking_budget: int | None = None,
        name: str | None = None,
        logprobs: bool | None = None,
        max_concurrency: int = 16,
        cache_key: str | None = None,
    ) -> None:
        _check(chat_generator, "a chat generator", "run(messages)")
        if forward and "generation_kwargs" not in _parameters(chat_generator):
            raise ConfigError(f"{type(chat_generator).__name__}.run takes no generation_kwargs to forward {forward} in")
        kwargs = getattr(chat_generator, "generation_kwargs", None)
        declared = isinstance(kwargs, Mapping) and bool(kwargs.get("logprobs"))
        super().__init__(
            chat_generator,
            name=name,
            logprobs=declared if logprobs is None else logprobs,
            native_async=hasattr(chat_generator, "run_async"),
            max_concurrency=max_concurrency,
            cache_key=cache_key,
        )
        self.component = chat_generator
        self.forward = tuple(forward)
        self._habits = habits_of(self.name)
        usual = THINKING_TOKENS if self._habits.thinks else 0
        room = usual if thinking_budget is None else thinking_budget
        if room:
            limit("thinking_budget", room, ConfigError)
        self.thinking_tokens = (room or None) if "max_tokens" in self.forward else None

    def _ask(self, call: Generate | ChoiceLogprobs) -> Reply | Failure:
        with self._span(call) as (arguments, span):
            result = self.component.run(**arguments)
            span.set_content_tag("haystack.component.output", result)
        return _reply(result, self._limit(call))

    async def _aask(self, call: Generate | ChoiceLogprobs) -> Reply | Failure:
        with self._span(call) as (arguments, span):
            result = await self.component.run_async(**arguments)  # type: ignore[attr-defined]
            span.set_content_tag("haystack.component.output", result)
        return _reply(result, self._limit(call))

    def _limit(self, call: Generate | ChoiceLogprobs) -> int | None:
        """The output limit that is sent along."""
        if not isinstance(call, Generate) or "max_tokens" not in self.forward:
            return None
        return call.max_tokens + (call.thoughts or 0)

    @contextmanager
    def _span(self, call: Generate | ChoiceLogprobs) -> Iterator[tuple[dict[str, Any], Span]]:
        """What to call the generator with, and a span: child of the one that is current where the rerank began."""
        arguments: dict[str, Any] = {"messages": [AS_MESSAGE[m.role](m.content) for m in call.messages]}
        if self.forward and isinstance(call, Generate):
            settings = _settings(call, self._limit(call), self._habits)
            sent = [setting for name in self.forward for setting in settings.get(name, {}).items()]
            arguments["generation_kwargs"] = dict(sent)
        tags = {"haystack.component.name": "chat_generator", "haystack.component.type": type(self.component).__name__}
        parent = tracer.current_span()
        with tracer.trace("haystack.chat_generator.run", tags=tags, parent_span=parent) as span:
            span.set_content_tag("haystack.component.input", arguments)
            yield arguments, span


class HaystackTextEmbedder(EmbeddingModel):
    """A Haystack text embedder as a tamis model that can `embed`, queries and passages alike, by its `run(text)`."""

    def __init__(
        self,
        embedder: TextEmbedder,
        *,
        name: str | None = None,
        max_concurrency: int = 16,
        cache_key: str | None = None,
    ) -> None:
        _check(embedder, "a text embedder", "run(text)")
        super().__init__(
            embedder,
            name=name,
            native_async=hasattr(embedder, "run_async"),
            max_batch=1,
            max_concurrency=max_concurrency,
            cache_key=cache_key,
        )
        self.component = embedder

    def _embed(self, texts: list[str], role: Role) -> Vectors:
        return [self.component.run(text=text).get("embedding") for text in texts]

    async def _aembed(self, texts: list[str], role: Role) -> Vectors:
        found = [await self.component.run_async(text=text) for text in texts]  # type: ignore[attr-defined]
        return [result.get("embedding") for result in found]


def _settings(call: Generate, most: int | None, habits: Habits) -> dict[str, dict[str, Any]]:
    """What each setting is in the request."""
    settings: dict[str, dict[str, Any]] = {"max_tokens": {habits.token_limit: most}}
    if habits.temperature:
        settings["temperature"] = {"temperature": call.temperature}
    if call.schema:
        schema = {"name": "answer", "schema": dict(call.schema)}
        settings["response_format"] = {"response_format": {"type": "json_schema", "json_schema": schema}}
    return settings


def _reply(result: Mapping[str, Any], most: int | None) -> Reply | Failure:
    replies = result.get("replies") or [None]
    reply = replies[0]
    if not isinstance(reply, ChatMessage):
        return Failure("malformed", "the chat generator gave no reply")
    meta = reply.meta
    complete, stopped_by = ended(meta)
    top, usage = top_tokens(meta.get("logprobs")), usage_of(meta.get("usage"))
    return Reply(reply.text, complete, top, stopped_by=stopped_by, limit=most, **usage)


def _parameters(component: Any) -> Mapping[str, Any]:
    """Of its `run`; none for what has no `run`, or one that cannot be looked into."""
    run = getattr(component, "run", None)
    try:
        return inspect.signature(run).parameters if callable(run) else {}
    except (TypeError, ValueError):
        return {}


def _check(component: Any, what: str, method: str) -> None:
    if not callable(getattr(component, "run", None)):
        raise ConfigError(
            f"{type(component).__name__} is not {what}: it has no `{method}`. tamis models go into `models`, by name."
        )
