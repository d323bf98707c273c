"""Chat models that speak the OpenAI protocol: OpenAI itself, vLLM, SGLang, llama.cpp, Ollama, LM Studio, hosted
ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field, fields, replace
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PositiveInt
from pydantic.dataclasses import dataclass

from tamis.compute.architectures import ArchitectureRef
from tamis.errors import ModelError
from tamis.models.lazy import lock_of, once
from tamis.models.served.http import Dialogue, Home, HttpModel, Reply, Url, Variable
from tamis.models.served.labels import label_logprobs
from tamis.models.served.wire import MOST
from tamis.parts.numbers import Positive
from tamis.values.answers import Failure, Generated, Logprobs
from tamis.values.calls import Capability, ChoiceLogprobs, Generate, Message

Format = Literal["json_schema", "json_object", "none"]
LOOSER: dict[Format, Format] = {"json_schema": "json_object", "json_object": "none"}
REJECTIONS = frozenset({400, 404, 415, 422, 500, 501})
FORMAT_WORDS = ("response_format", "json_schema", "json_object", "schema", "grammar", "guided", "structured output")
PATH = "chat/completions"
OPENAI = Home("api.openai.com", "OPENAI_API_KEY")


@plain_dataclass(frozen=True, slots=True)
class Dialect:
    """Which part of the protocol a server has turned out to take. `proven`: it has taken this `format`."""

    format: Format = "json_schema"
    proven: bool = False
    token_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: bool = True
    top_logprobs: int = 20

    def adapted(self, body: Mapping[str, Any], reply: Reply, *, any_format: bool) -> Dialect | None:
        """The dialect to try after `reply` rejected `body`; `None` when the protocol is not to blame.

        `any_format`: whether a looser output format may be tried.
        """
        if reply.status not in REJECTIONS:
            return None
        said = reply.message.lower()
        formatted = any_format and "response_format" in body and self.format in LOOSER
        if formatted and any(word in said for word in FORMAT_WORDS):
            return replace(self, format=LOOSER[self.format], proven=False)
        if "max_completion_tokens" in said and "max_tokens" in body:
            return replace(self, token_limit="max_completion_tokens")
        if "top_logprobs" in said and body.get("top_logprobs", 0) > 5:
            return replace(self, top_logprobs=5)
        if "temperature" in said and "temperature" in body:
            return replace(self, temperature=False)
        if formatted and not self.proven and reply.status in (400, 422):
            return replace(self, format=LOOSER[self.format])
        return None


@dataclass(frozen=True, config=ConfigDict(arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True))
class OpenAIChat(HttpModel):
    """A chat model served at `POST {base_url}/chat/completions`. Can `generate` and give `choice_logprobs`.

    Args:
        model: the name the server knows it by.
        base_url: where the API is, usually ending in `/v1`; a query after it, such as `?api-version=1`, is sent with
            every request.
        api_key: sent as a bearer token. Never printed, written as data or put in an error. Default: the environment
            variable `api_key_env`, if named; for OpenAI's own server `OPENAI_API_KEY`, which is sent nowhere else.
        timeout: seconds for a request, from connecting to the last byte of the reply.
        max_concurrency: requests in flight.
        requests_per_minute, tokens_per_minute: limits of the account; what would exceed them waits in the engine.
        context_window: tokens the model reads and writes in one call, where known.
        images: whether the model sees pictures; they are sent as content parts.
        structured: how a call's JSON schema is sent: as `"json_schema"`, as `"json_object"` (JSON, of any shape), not
            at all (`"none"`), or `"auto"`: the strictest of these the server takes, found out and remembered.
        architecture: for counting FLOPs, where `model` is not the name of a well-known open model: such a name, or the
            fields of a `tamis.compute.flops.Architecture`.
        extra_body: further fields of the request, such as `{"chat_template_kwargs": {"enable_thinking": False}}`.
        headers: further headers. Like `api_key` never printed or written as data.
        max_reply_bytes: the longest reply that is read, unpacked; default 32 MiB.

    `choice_logprobs` reads the 20 most likely first tokens (fewer where the server allows fewer): a token counts for
    the choice it spells, spaces aside, and for one it spells in another case when that is unambiguous. A choice not
    among them gets `-inf`; if none is, the call fails as `malformed`. Models that think first need that switched off.

    Raises `ModelError` for what the server or the network does, `ConfigError` without an API key where one is needed,
    `MissingExtra` without httpx.

    >>> model = OpenAIChat("qwen3-8b", base_url="http://localhost:8000/v1")
    >>> model.generate([Generate(model, (Message("user", "Say hello."),), max_tokens=8)])
    [Generated(tokens_in=12, tokens_out=3, text='Hello!', complete=True)]
    """

    model: Annotated[str, Field(min_length=1)]
    base_url: Url = "https://api.openai.com/v1"
    api_key: str | None = field(default=None, repr=False)
    api_key_env: Variable | None = None
    timeout: Positive = 60.0
    max_concurrency: PositiveInt = 16
    requests_per_minute: PositiveInt | None = None
    tokens_per_minute: PositiveInt | None = None
    context_window: PositiveInt | None = None
    images: bool = False
    structured: Literal["auto", "json_schema", "json_object", "none"] = "auto"
    extra_body: dict[str, Any] | None = field(default=None, hash=False)
    headers: dict[str, str] | None = field(default=None, repr=False, hash=False)
    architecture: ArchitectureRef = None
    max_reply_bytes: PositiveInt = MOST

    def __post_init__(self) -> None:
        self._settle(PATH)

    @property
    def name(self) -> str:
        return self.model

    @property
    def max_batch(self) -> int:
        return 1

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        return ("generate", "choice_logprobs")

    @property
    def cache_key(self) -> str:
        extra = json.dumps(self.extra_body, sort_keys=True, default=repr) if self.extra_body else ""
        return f"openai:{self.base_url}:{self.model}:{extra}{self._tenant}"

    def generate(self, calls: Sequence[Generate]) -> list[Generated | Failure]:
        """Write one text a call, each from its own request."""
        return [self._hold(PATH, self._generation(call)) for call in calls]

    async def agenerate(self, calls: Sequence[Generate]) -> list[Generated | Failure]:
        """As `generate`, without blocking the event loop."""
        return [await self._ahold("chat/completions", self._generation(call)) for call in calls]

    def choice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Logprobs | Failure]:
        """Natural-log probabilities of the choices as first token, one request per call."""
        return [self._hold(PATH, self._choice(call)) for call in calls]

    async def achoice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Logprobs | Failure]:
        """As `choice_logprobs`, without blocking the event loop."""
        return [await self._ahold("chat/completions", self._choice(call)) for call in calls]

    def _generation(self, call: Generate) -> Dialogue[Generated | Failure]:
        def body(dialect: Dialect) -> dict[str, Any]:
            request = self._request(call.messages, call.max_tokens, call.temperature, dialect)
            if call.stop:
                request["stop"] = list(call.stop)
            if call.schema is not None and dialect.format != "none":
                request["response_format"] = response_format(dialect.format, call.schema)
            return request

        data = yield from self._asked(body)
        choice = self._first_choice(data)
        text = message_text(choice["message"])
        read, wrote = token_counts(data)
        return Generated(text, choice.get("finish_reason") != "length", tokens_in=read, tokens_out=wrote)

    def _choice(self, call: ChoiceLogprobs) -> Dialogue[Logprobs | Failure]:
        def body(dialect: Dialect) -> dict[str, Any]:
            # Temperature 1: some servers give the probabilities after it. Which token is drawn does not matter.
            request = self._request(call.messages, 1, 1.0, dialect)
            return {"logprobs": True, "top_logprobs": dialect.top_logprobs, **request}

        data = yield from self._asked(body)
        try:
            shown = self._first_choice(data)["logprobs"]["content"][0]["top_logprobs"]
            tokens = [(str(item["token"]), float(item["logprob"])) for item in shown]
        except (KeyError, IndexError, TypeError, ValueError):
            return Failure("malformed", f"{self.base_url} gave no top_logprobs for {self.model}; ask it to generate")
        answer = label_logprobs(tokens, call.choices)
        if isinstance(answer, Failure):
            return answer
        read, wrote = token_counts(data)
        return replace(answer, tokens_in=read, tokens_out=wrote)

    def _request(
        self, messages: Iterable[Message], max_tokens: int, temperature: float, dialect: Dialect
    ) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": [{"role": message.role, "content": _content(message)} for message in messages],
            dialect.token_limit: max_tokens,
            **({"temperature": temperature} if dialect.temperature else {}),
        }

    def _asked(self, body: Callable[[Dialect], dict[str, Any]]) -> Dialogue[Any]:
        """The JSON of the completion. When the server rejects part of the protocol, asks again without it."""
        known = dialect = self._dialect
        request = {**body(dialect), **(self.extra_body or {})}
        while True:
            reply = yield request
            if reply.status == 200:
                break
            other = dialect.adapted(request, reply, any_format=self.structured == "auto")
            adapted = None if other is None else {**body(other), **(self.extra_body or {})}
            if other is None or adapted is None or adapted == request:
                raise self._error(reply)
            dialect, request = other, adapted
        data = self._checked(reply)
        self._remember(known, replace(dialect, proven=True) if "response_format" in request else dialect)
        return data

    def _checked(self, reply: Reply) -> Any:
        data = self._data(reply)
        self._first_choice(data)
        return data

    def _first_choice(self, data: Any) -> dict[str, Any]:
        try:
            choice: dict[str, Any] = data["choices"][0]
            choice["message"].get("content")
        except (KeyError, IndexError, TypeError, AttributeError):
            text = f"{self.base_url} answered HTTP 200 with something that is not a chat completion"
            raise ModelError(text, retryable=True) from None
        return choice

    @once
    def _dialect(self) -> Dialect:
        return Dialect() if self.structured == "auto" else Dialect(self.structured)

    def _remember(self, known: Dialect, found: Dialect) -> None:
        """Keep what was found out on the way from `known` to `found`, beside what other calls found meanwhile."""
        if known == found:
            return
        with lock_of(self):
            news = {
                f.name: getattr(found, f.name)
                for f in fields(found)
                if getattr(found, f.name) != getattr(known, f.name)
            }
            self.__dict__["_dialect"] = replace(self._dialect, **news)

    @property
    def _home(self) -> Home:
        return OPENAI


def _content(message: Message) -> str | list[dict[str, Any]]:
    """The text, or parts of it and its pictures."""
    if not message.images:
        return message.content
    pictures = [{"type": "image_url", "image_url": {"url": image}} for image in message.images]
    return [{"type": "text", "text": message.content}, *pictures]


def response_format(kind: Format, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The `response_format` of a request."""
    if kind == "json_object":
        return {"type": "json_object"}
    strict = {"strict": True} if is_closed(schema) else {}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **strict}}


def is_closed(schema: Any) -> bool:
    """Whether every object in the schema requires all its properties and allows no others: what `strict` takes."""
    if isinstance(schema, (list, tuple)):
        return all(map(is_closed, schema))
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties):
            return False
    return all(map(is_closed, schema.values()))


def message_text(message: Mapping[str, Any]) -> str:
    """The text of a reply: a string, the text parts of a list, or a refusal; empty where it has none. Reasoning is left
    out."""
    content = message.get("content")
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, Mapping))
        content = "".join(text for text in texts if isinstance(text, str))
    for text in (content, message.get("refusal")):
        if isinstance(text, str) and text:
            return text
    return ""


def token_counts(data: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Tokens in and out as the server reports them; `None` for what is not a count."""
    usage = data.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    read, wrote = (usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
    return _count(read), _count(wrote)


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
