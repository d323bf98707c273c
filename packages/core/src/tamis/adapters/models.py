"""A framework's chat model or embedder as a tamis model: what the wrappers of every framework share.

A wrapper says how its framework is asked and how a reply is read. The rest is here: sync and async answers, usage,
log-probabilities of labels, the count of vectors, names, capabilities and cache keys.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal, TypedDict, TypeVar
from uuid import uuid4

from tamis.adapters.arguments import limit
from tamis.engine.cache import OBJECT_ONLY
from tamis.errors import ConfigError, ModelError
from tamis.models.served.endings import Ending, ending_of
from tamis.models.served.labels import label_logprobs
from tamis.values.answers import Failure, Generated, Logprobs, Vector
from tamis.values.calls import Capability, ChoiceLogprobs, Embed, Generate
from tamis.values.model import an_object

Method = TypeVar("Method")
Role = Literal["query", "passage"]
Vectors = Sequence[Sequence[float] | None]


class LiveModel:
    """A framework's object with what the engine reads of a model.

    Args:
        inner: the framework's object.
        name: for traces; default: what the object calls itself.
        max_concurrency: calls at the same time.
        cache_key: a string that changes whenever answers may change, such as the model's name with its version and
            settings. With it answers may be written to disk; without it they are kept in memory only.
    """

    def __init__(
        self, inner: Any, *, name: str | None = None, max_concurrency: int = 16, cache_key: str | None = None
    ) -> None:
        if cache_key is not None and (not isinstance(cache_key, str) or not cache_key.strip()):
            raise ConfigError(f"cache_key must be a non-empty string or None, got {cache_key!r}")
        self.limited_as = inner
        self.name = name or name_of(inner)
        self.max_concurrency = limit("max_concurrency", max_concurrency, ConfigError) or 1
        self.cache_key = cache_key or live_key(inner)


def live_key(inner: Any) -> str:
    """The `cache_key` of one wrapper of a live object: a new one each time, for caches in memory only.

    There is no stable key. What a framework writes of an object leaves out secrets, clients, callables and private
    state, so two objects that are written alike may answer differently, and a wrong key is worse than none.
    """
    kind = type(inner)
    return f"{OBJECT_ONLY}{kind.__module__}.{kind.__qualname__}:{uuid4().hex}"


def name_of(*holders: Any) -> str:
    """What one of `holders` calls the model (`model_name`, `model`), else the class of the last.

    >>> name_of(3)
    'int'
    """
    names = (getattr(holder, attribute, None) for holder in holders for attribute in ("model_name", "model"))
    known = (name for name in names if isinstance(name, str) and name.strip() and name != "unknown")
    return next(known, type(holders[-1]).__name__)


def named(models: Any, wrap: Callable[[Any], Any], **own: Any) -> dict[str, Any]:
    """Models by the names pipelines call them, wrapped: those in the mapping `models`, and `own` that are not `None`.

    `ConfigError` for a name that is in both, for `models` that is not a mapping, and for a class.
    """
    if models is not None and not isinstance(models, Mapping):
        raise ConfigError(f"models must map names to models, such as {{'llm': model}}, got {models!r}")
    given = {name: model for name, model in own.items() if model is not None}
    if twice := sorted(given.keys() & (models or {}).keys()):
        raise ConfigError(f"given twice, as an argument of its own and in models: {', '.join(twice)}. Leave one out.")
    return {name: wrap(an_object(model, str(name))) for name, model in {**(models or {}), **given}.items()}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a framework's reply says.

    `text`: `None` when the reply has none. `complete`, `stopped_by`: whether it ended too early, and what ended it
    where that was not the token limit (`ended`). `limit`: that limit, where tamis set it. `top`: tokens and natural-log
    probabilities at the first output position. Token counts are `None` where the reply does not say.
    """

    text: str | None
    complete: bool = True
    top: Sequence[tuple[str, float]] = ()
    tokens_in: int | None = None
    tokens_out: int | None = None
    stopped_by: str = ""
    limit: int | None = None


class ChatModel(LiveModel, ABC):
    """A chat model. Subclasses ask the framework in `_ask` and, if `native_async`, in `_aask`.

    Args:
        logprobs: whether the model can show log-probabilities of tokens.
        native_async: whether `_aask` leaves the event loop free. If not, the engine runs `_ask` in threads.

    The others are those of `LiveModel`.
    """

    max_batch = 1

    def __init__(self, inner: Any, *, logprobs: bool, native_async: bool, **about: Any) -> None:
        super().__init__(inner, **about)
        self.native_async = native_async
        self.capabilities: tuple[Capability, ...] = ("generate", "choice_logprobs") if logprobs else ("generate",)

    @abstractmethod
    def _ask(self, call: Generate | ChoiceLogprobs) -> Reply | Failure: ...

    @abstractmethod
    async def _aask(self, call: Generate | ChoiceLogprobs) -> Reply | Failure: ...

    def generate(self, calls: Sequence[Generate]) -> list[Generated | Failure]:
        return [_generated(self._ask(call)) for call in calls]

    def choice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Logprobs | Failure]:
        return [_logprobs(self._ask(call), call.choices) for call in calls]

    # An attribute that is missing, not one that raises: the async driver looks whether it is there.
    @property
    def agenerate(self) -> Callable[[Sequence[Generate]], Awaitable[list[Generated | Failure]]]:
        return native(self, self._agenerate)

    @property
    def achoice_logprobs(self) -> Callable[[Sequence[ChoiceLogprobs]], Awaitable[list[Logprobs | Failure]]]:
        return native(self, self._achoice_logprobs)

    async def _agenerate(self, calls: Sequence[Generate]) -> list[Generated | Failure]:
        return [_generated(await self._aask(call)) for call in calls]

    async def _achoice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Logprobs | Failure]:
        return [_logprobs(await self._aask(call), call.choices) for call in calls]


class EmbeddingModel(LiveModel, ABC):
    """An embedding model. Subclasses embed texts of one role in `_embed` and, if `native_async`, in `_aembed`.

    `max_batch`: texts per call. `native_async` as for `ChatModel`; the other arguments are those of `LiveModel`.
    """

    capabilities: tuple[Capability, ...] = ("embed",)

    def __init__(self, inner: Any, *, native_async: bool, max_batch: int, **about: Any) -> None:
        super().__init__(inner, **about)
        self.native_async = native_async
        self.max_batch = limit("max_batch", max_batch, ConfigError) or 1

    @abstractmethod
    def _embed(self, texts: list[str], role: Role) -> Vectors: ...

    @abstractmethod
    async def _aembed(self, texts: list[str], role: Role) -> Vectors: ...

    def embed(self, calls: Sequence[Embed]) -> list[Vector | Failure]:
        return self._in_order(calls, {role: self._embed(texts, role) for role, texts in _by_role(calls).items()})

    @property
    def aembed(self) -> Callable[[Sequence[Embed]], Awaitable[list[Vector | Failure]]]:
        return native(self, self._aembed_calls)

    async def _aembed_calls(self, calls: Sequence[Embed]) -> list[Vector | Failure]:
        return self._in_order(calls, {role: await self._aembed(texts, role) for role, texts in _by_role(calls).items()})

    def _in_order(self, calls: Sequence[Embed], found: Mapping[Role, Vectors]) -> list[Vector | Failure]:
        for role, texts in _by_role(calls).items():
            one_each(self.name, found[role], texts)
        rest = {role: iter(vectors) for role, vectors in found.items()}
        return [_vector(next(rest[call.role])) for call in calls]


def native(model: ChatModel | EmbeddingModel, method: Method) -> Method:
    """`method`, an `AttributeError` for a model without async methods of its own."""
    if not model.native_async:
        raise AttributeError(f"{model.name} has no async methods of its own")
    return method


def one_each(name: str, got: Any, asked: Sequence[Any]) -> None:
    """`ModelError` unless `got` has one result for each that was `asked`: which one is missing cannot be known."""
    if len(got) != len(asked):
        raise ModelError(f"{name} gave {len(got)} results for {len(asked)} texts")


class Tokens(TypedDict):
    """What a reply cost, `None` where it does not say."""

    tokens_in: int | None
    tokens_out: int | None


def usage_of(usage: Any) -> Tokens:
    """Tokens in and out, from a mapping or an object in OpenAI's or Anthropic's terms."""
    return {
        "tokens_in": _count(usage, "prompt_tokens", "input_tokens"),
        "tokens_out": _count(usage, "completion_tokens", "output_tokens"),
    }


FINISH = ("finish_reason", "stop_reason", "stopReason", "done_reason")


def ended(reply: Any) -> Ending:
    """How an answer ended, from a provider's reply as a framework keeps it: a mapping or an object that holds the
    reason itself or in its first choice.

    >>> ended({"choices": [{"finish_reason": "length"}]}).complete
    False
    """
    holders = [reply, *(_first(_held(reply, name)) for name in ("choices", "candidates"))]
    reasons = [_held(holder, name) for holder in holders for name in FINISH]
    endings = [ending_of(reason) for reason in reasons if isinstance(reason, (str, Enum))]
    return next((ending for ending in endings if not ending.complete), Ending())


def _held(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _first(several: Any) -> Any:
    return several[0] if isinstance(several, Sequence) and several else None


def top_tokens(shown: Any) -> list[tuple[str, float]]:
    """The alternatives at the first output position in OpenAI's form: one object, or a list of them from a stream.

    >>> top_tokens({"content": [{"top_logprobs": [{"token": "Yes", "logprob": -0.1}]}]})
    [('Yes', -0.1)]
    """
    try:
        first = shown[0] if isinstance(shown, list) else shown
        top = first["content"][0]["top_logprobs"]
        return [(str(one["token"]), float(one["logprob"])) for one in top if one["logprob"] is not None]
    except (LookupError, TypeError, ValueError):
        return []


def _count(usage: Any, *names: str) -> int | None:
    values = (usage.get(name) if isinstance(usage, Mapping) else getattr(usage, name, None) for name in names)
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)


def _generated(reply: Reply | Failure) -> Generated | Failure:
    if isinstance(reply, Failure):
        return reply
    if reply.text is None and reply.complete:
        return Failure("malformed", "the reply has no text")
    answer = Generated(reply.text or "", reply.complete, limit=reply.limit, stopped_by=reply.stopped_by)
    return replace(answer, tokens_in=reply.tokens_in, tokens_out=reply.tokens_out)


def _logprobs(reply: Reply | Failure, labels: Sequence[str]) -> Logprobs | Failure:
    if isinstance(reply, Failure):
        return reply
    if not reply.top:
        return Failure(
            "malformed", "the reply shows no log-probabilities; use a pipeline that generates text, such as 'rebel'"
        )
    found = label_logprobs(reply.top, labels)
    if isinstance(found, Failure):
        return found
    return replace(found, tokens_in=reply.tokens_in, tokens_out=reply.tokens_out)


def _by_role(calls: Sequence[Embed]) -> dict[Role, list[str]]:
    """Texts by role, only roles that occur."""
    texts: dict[Role, list[str]] = {}
    for call in calls:
        texts.setdefault(call.role, []).append(call.text)
    return texts


def _vector(values: Sequence[float] | None) -> Vector | Failure:
    if values is None or len(values) == 0:
        return Failure("malformed", "the embedding model gave no vector")
    try:
        return Vector.of(values)
    except (TypeError, ValueError):
        return Failure("malformed", "the embedding model gave something other than numbers")
