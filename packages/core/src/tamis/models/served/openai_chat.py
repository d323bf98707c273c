"""Chat models that speak the OpenAI protocol: OpenAI itself, vLLM, SGLang, llama.cpp, Ollama, LM Studio, hosted
ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, fields, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from tamis.compute.architectures import ArchitectureRef
from tamis.engine.allowance import another_request, is_asked_by_an_engine
from tamis.engine.traits import with_thoughts
from tamis.errors import ModelError
from tamis.models.lazy import lock_of, once
from tamis.models.served.addresses import Url
from tamis.models.served.dialect import LIMITS, TEACHING, Dialect, Format
from tamis.models.served.endings import ending_of
from tamis.models.served.habits import THINKING_TOKENS, TokenLimit, habits_of, thinking_switch
from tamis.models.served.http import Dialogue, Home, HttpModel, Reply, Variable
from tamis.models.served.labels import label_logprobs
from tamis.models.served.protocol import (
    content_of,
    count_of,
    message_text,
    response_format,
    thought_apart,
    token_counts,
    tokens_thought,
    without_system,
)
from tamis.models.served.wire import MOST
from tamis.parts.numbers import Positive
from tamis.parts.permissions import Needs
from tamis.prompts.thoughts import answer_text, has_thought
from tamis.values.answers import Failure, Generated, Logprobs
from tamis.values.calls import Capability, ChoiceLogprobs, Generate, Message
from tamis.values.images import refused

FURTHER = 6
"""Most requests for one call beyond the first: no server refuses more parts of the protocol."""
PATH = "chat/completions"
ImageAddresses = Annotated[bool, Needs("images")]
OPENAI = Home("api.openai.com", "OPENAI_API_KEY")


def _room(value: Any) -> Any:
    """`off` and `on` in YAML are read as booleans."""
    return {False: 0, True: "auto"}[value] if isinstance(value, bool) else value


ThinkingBudget = Annotated[Literal["auto"] | NonNegativeInt, BeforeValidator(_room)]


@dataclass(frozen=True, config=ConfigDict(arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True))
class OpenAIChat(HttpModel):
    """A chat model served at `POST {base_url}/chat/completions`. Can `generate` and give `choice_logprobs`.

    Args:
        model: the name the server knows it by.
        base_url: where the API is, usually ending in `/v1`; a query after it, such as `?api-version=1`, is sent with
            every request, and messages name its values only as `***`. Keys go into `api_key` or `headers`.
        api_key: sent as a bearer token. Never printed, written as data or put in an error. Default: the environment
            variable `api_key_env`, if named; for OpenAI's own server `OPENAI_API_KEY`, which is sent nowhere else.
        timeout: seconds for a request, from connecting to the last byte of the reply.
        max_concurrency: requests in flight.
        requests_per_minute, tokens_per_minute: limits of the account; what would exceed them waits in the engine.
        context_window: tokens the model reads and writes in one call, where known.
        images: whether the model sees pictures; they are sent as content parts.
        allow_image_addresses: whether pictures may be addresses, which the server then opens, also those that documents
            name. By default only `data:` URLs are sent; a call with an address is a `Failure`.
        structured: how a call's JSON schema is sent: as `"json_schema"`, as `"json_object"` (JSON, of any shape), not
            at all (`"none"`), or `"auto"`: the strictest of these the server takes, found out and remembered.
        thinking_budget: output tokens in which the model may think before each answer, on top of what the answer
            needs; 0: none. `"auto"`: 4096 for a model that is known to think, by its name or because a reply held a
            thought, unless `extra_body` switches thinking off. It is a limit: what is not thought is not paid for.
            Token budgets reserve it and dry runs count it. `timeout` must be long enough for it.
        token_limit: the field that holds the output limit, `"max_tokens"` or `"max_completion_tokens"`; `"auto"`: as
            the model is known to need it, else as the server asks for.
        architecture: for counting FLOPs, where `model` is not the name of a well-known open model: such a name, or the
            fields of a `tamis.compute.flops.Architecture`.
        extra_body: further fields of the request, such as `{"chat_template_kwargs": {"enable_thinking": False}}`.
        headers: further headers. Like `api_key` never printed or written as data.
        max_reply_bytes: the longest reply that is read, unpacked; default 32 MiB.

    What a server refuses is sent another way, in a further request (6 per call at most) that counts in budgets: with
    the other field of the output limit, a looser output format, no `temperature`, no `stop`, fewer `top_logprobs`, or
    with the system's message at the beginning of the user's. What has worked is remembered for this object, unless the
    server refused with a status of 500 or more. An output limit in `extra_body` replaces all others.

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
    allow_image_addresses: ImageAddresses = False
    structured: Literal["auto", "json_schema", "json_object", "none"] = "auto"
    thinking_budget: ThinkingBudget = "auto"
    token_limit: Literal["auto", "max_tokens", "max_completion_tokens"] = "auto"
    extra_body: dict[str, Any] | None = field(default=None, hash=False)
    headers: dict[str, str] | None = field(default=None, repr=False, hash=False)
    architecture: ArchitectureRef = None
    max_reply_bytes: PositiveInt = MOST

    survive_fork: ClassVar[frozenset[str]] = frozenset({"_dialect"})

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
        room = "" if self.thinking_budget == "auto" else f":{self.thinking_budget}"
        return f"openai:{self.base_url}:{self.model}:{extra}{room}{self._tenant}"

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

    @property
    def thinking_tokens(self) -> int | None:
        """Output tokens in which the model may think before each answer; `None`: no room is needed."""
        own = self._own_limit
        if own is not None:
            return own
        if self.thinking_budget != "auto":
            return self.thinking_budget or None
        return THINKING_TOKENS if self._thinks else None

    @property
    def _own_limit(self) -> int | None:
        """The caller's own limit, which replaces that of every call."""
        given = [count_of((self.extra_body or {}).get(name)) for name in LIMITS]
        return max((limit for limit in given if limit is not None), default=None)

    @property
    def _thinks(self) -> bool:
        switched = thinking_switch(self.extra_body)
        return self._dialect.thinks or (habits_of(self.model).thinks if switched is None else switched)

    def _generation(self, call: Generate) -> Dialogue[Generated | Failure]:
        """An answer; of a model that turns out to think, and had no room for it, the answer to a second request."""
        if refusal := refused(call, self):
            return refusal
        allowed = (call if is_asked_by_an_engine() else with_thoughts(call)).thoughts or 0
        answer, thought = yield from self._written(call, allowed)
        if not thought or self.thinking_budget != "auto":
            return answer
        known = self._dialect
        self._remember(known, replace(known, thinks=True))
        if allowed or call.thoughts is not None or answer.complete or answer.stopped_by or answer_text(answer.text):
            return answer
        room = with_thoughts(call).thoughts
        if not room or not another_request(call.tokens_at_most() + room):
            return answer
        first = answer.tokens_in or call.tokens_read(), answer.tokens_out or answer.tokens_written()
        try:
            second, _ = yield from self._written(call, room)
        except ModelError as error:
            counts = zip(first, (error.tokens_in, error.tokens_out), strict=True)
            if not error.wrote or error.tokens_in is not None or error.tokens_out is not None:
                error.tokens_in, error.tokens_out = (one + (other or 0) for one, other in counts)
            raise
        both = [first, (second.tokens_in or call.tokens_read(), second.tokens_out or second.tokens_written())]
        thoughts = sum(one.thoughts or 0 for one in (answer, second)) or None
        read, wrote = (sum(counts) for counts in zip(*both, strict=True))
        return replace(second, tokens_in=read, tokens_out=wrote, thoughts=thoughts)

    def _written(self, call: Generate, thoughts: int) -> Dialogue[tuple[Generated, bool]]:
        """The answer to one request, and whether the reply held a thought."""

        def body(dialect: Dialect, room: int) -> dict[str, Any]:
            request = self._request(call.messages, call.max_tokens + room, call.temperature, dialect)
            if call.stop and dialect.stop:
                request["stop"] = list(call.stop)
            if call.schema is not None and dialect.format != "none":
                request["response_format"] = response_format(dialect.format, call.schema)
            return request

        data, request = yield from self._asked(body, call, thoughts)
        choice = self._first_choice(data)
        text = message_text(choice["message"])
        complete, stopped_by = ending_of(choice.get("finish_reason"))
        # Nothing written up to the limit: it was spent on thoughts that the server does not show.
        unseen = not complete and not stopped_by and not text.strip()
        thought = unseen or has_thought(text) or thought_apart(choice["message"], data)
        if call.stop and "stop" not in request:
            places = [place for mark in call.stop if (place := text.find(mark)) >= 0]
            text, complete = (text[: min(places)], True) if places else (text, complete)
        limit = next((request[name] for name in reversed(LIMITS) if name in request), None)
        read, wrote = token_counts(data)
        answer = Generated(text, complete, limit=limit, stopped_by=stopped_by, tokens_in=read, tokens_out=wrote)
        return replace(answer, thoughts=tokens_thought(data)), thought

    def _choice(self, call: ChoiceLogprobs) -> Dialogue[Logprobs | Failure]:
        if refusal := refused(call, self):
            return refusal

        def body(dialect: Dialect, room: int) -> dict[str, Any]:
            # Temperature 1: some servers give the probabilities after it. Which token is drawn does not matter.
            request = self._request(call.messages, 1, 1.0, dialect)
            return {"logprobs": True, "top_logprobs": dialect.top_logprobs, **request}

        if not self._dialect.logprobs:
            raise ModelError(self._without_logprobs)
        data, _ = yield from self._asked(body, call)
        read, wrote = token_counts(data)
        try:
            shown = self._first_choice(data)["logprobs"]["content"][0]["top_logprobs"]
            tokens = [(str(item["token"]), float(item["logprob"])) for item in shown]
        except (KeyError, IndexError, TypeError, ValueError):
            tokens = []
        self._heard(bool(tokens))
        if not tokens:
            problem = f"no top_logprobs in the reply: {self._without_logprobs}"
            return Failure("malformed", problem, tokens_in=read, tokens_out=wrote, wrote=True)
        answer = label_logprobs(tokens, call.choices)
        if isinstance(answer, Failure):
            return replace(answer, tokens_in=read, tokens_out=wrote, wrote=True)
        return replace(answer, tokens_in=read, tokens_out=wrote)

    def _heard(self, given: bool) -> None:
        """Whether a reply had the log-probabilities asked for: a server may leave them out without a word."""
        if given and not self._dialect.silent:
            return
        with lock_of(self):
            known = self._dialect
            self.__dict__["_dialect"] = replace(known, silent=0) if given else known.unheard()

    @property
    def _without_logprobs(self) -> str:
        return (
            f"{self._shown} does not give log-probabilities for {self.model}; use a pipeline that lets it write, "
            "such as 'listwise' or 'rebel'"
        )

    def _request(
        self, messages: Iterable[Message], max_tokens: int, temperature: float, dialect: Dialect
    ) -> dict[str, Any]:
        if not dialect.system:
            messages = without_system(messages)
        return {
            "model": self.model,
            "messages": [{"role": message.role, "content": content_of(message)} for message in messages],
            **({} if self._own_limit is not None else {dialect.token_limit: max_tokens}),
            **({"temperature": temperature} if dialect.temperature else {}),
        }

    def _asked(
        self, body: Callable[[Dialect, int], dict[str, Any]], call: Generate | ChoiceLogprobs, thoughts: int = 0
    ) -> Dialogue[tuple[Any, dict[str, Any]]]:
        """The JSON of the completion, and the request that was taken. When the server rejects part of the protocol,
        asks again without it; where the thoughts have no room beside the prompt, with less room for them."""
        known = dialect = learned = self._dialect
        tried = {dialect}
        further, sizes = 0, 0
        answer_tokens = call.max_tokens if isinstance(call, Generate) else 1
        room = dialect.room(thoughts, answer_tokens, call.tokens_read()) if thoughts else 0
        request = {**body(dialect, room), **(self.extra_body or {})}
        while (reply := (yield request)).status != 200:
            if further == FURTHER:
                raise self._error(reply)
            further += 1
            if room and (sized := dialect.sized(request, reply)):
                other, read = sized
                left = other.room(room, answer_tokens, max(read, call.tokens_read()))
                room, sizes = left if left < room and not sizes else 0, sizes + 1
            else:
                given = self.token_limit != "auto"
                found = dialect.adapted(request, reply, any_format=self.structured == "auto", own_limit=given)
                if found is None or found in tried:
                    raise self._error(reply)
                other = found
            if reply.status in TEACHING:
                news = changed(other, dialect)
                if other.doubted and not known.doubted:
                    news.pop("format", None)  # Remembered when it was needed twice.
                learned = replace(learned, **news)
            if "logprobs" in request and not other.logprobs:
                self._remember(known, learned)
                raise ModelError(self._without_logprobs)
            tried.add(other)
            adapted = {**body(other, room), **(self.extra_body or {})}
            if adapted == request:
                raise self._error(reply)
            if not another_request():
                raise ModelError(f"{self._error(reply)}; no further request may be made now", retryable=True)
            dialect, request = other, adapted
        data = self._checked(reply)
        if "response_format" in request and learned.format == dialect.format:
            learned = replace(learned, proven=True)
        self._remember(
            known, replace(learned, largest=max(learned.largest, sum(count or 0 for count in token_counts(data))))
        )
        return data, request

    def _checked(self, reply: Reply) -> Any:
        data = self._data(reply)
        self._first_choice(data)
        return data

    def _first_choice(self, data: Any) -> dict[str, Any]:
        try:
            choice: dict[str, Any] = data["choices"][0]
            choice["message"].get("content")
        except (KeyError, IndexError, TypeError, AttributeError):
            raise self._unusable("something that is not a chat completion", data) from None
        return choice

    def _counted(self, data: Any) -> tuple[int | None, int | None]:
        return token_counts(data)

    @once
    def _dialect(self) -> Dialect:
        form: Format = "json_schema" if self.structured == "auto" else self.structured
        habits = habits_of(self.model)
        limit: TokenLimit = habits.token_limit if self.token_limit == "auto" else self.token_limit
        return Dialect(form, token_limit=limit, temperature=habits.temperature, stop=habits.stop)

    def _remember(self, known: Dialect, found: Dialect) -> None:
        """Keep what was found out on the way from `known` to `found`, beside what other calls found meanwhile."""
        if known == found:
            return
        with lock_of(self):
            self.__dict__["_dialect"] = replace(self._dialect, **changed(found, known))

    @property
    def _home(self) -> Home:
        return OPENAI


def changed(found: Dialect, known: Dialect) -> dict[str, Any]:
    """The fields in which `found` differs from `known`."""
    return {f.name: getattr(found, f.name) for f in fields(found) if getattr(found, f.name) != getattr(known, f.name)}
