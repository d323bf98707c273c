"""Cross-encoders called by HTTP: Cohere, Jina, Voyage, TEI, Infinity, vLLM, llama.cpp and compatible services."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import accumulate, pairwise
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, PositiveInt, WithJsonSchema
from pydantic.dataclasses import dataclass

from tamis.compute.architectures import ArchitectureRef
from tamis.errors import ConfigError
from tamis.models.served.addresses import Url
from tamis.models.served.http import Dialogue, Home, HttpModel, Variable
from tamis.models.served.rerank_providers import PROVIDERS, Provider, found
from tamis.models.served.wire import MOST
from tamis.parts.numbers import Positive
from tamis.parts.part import unknown
from tamis.prompts.harmless import neutralise_control
from tamis.text.tokens import estimate_tokens
from tamis.values.answers import Failure, Score
from tamis.values.calls import Capability, Classify
from tamis.values.scale import COSINE, Scale

SENT_AT_ONCE = 100
"""Documents per request by default: what a billed search unit covers, and answered soon."""
ROUNDING = 1e-5
LISTWISE: Mapping[str, Scale] = {"jina-reranker-v3": COSINE}
"""Models that read the documents of a request together, so that a score depends on its neighbours, and their scale."""


def _known(value: Any) -> Any:
    if isinstance(value, str) and value not in PROVIDERS:
        raise ConfigError(unknown("rerank provider", value, PROVIDERS))
    return value


Name = Annotated[str, WithJsonSchema({"enum": list(PROVIDERS)})]
ProviderRef = Annotated[Name | Provider, BeforeValidator(_known)]


@dataclass(frozen=True, config=ConfigDict(arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True))
class RerankService(HttpModel):
    """A rerank model served at `POST {base_url}/rerank`. Can `classify`: one call is one (query, document) pair.

    Calls with the same query share a request; the engine never puts another query's calls into a batch.

    Args:
        model: the name the service knows it by.
        provider: whose form of the protocol it speaks: `"cohere"` (v2), `"jina"`, `"voyage"`, `"tei"`, `"infinity"`,
            `"vllm"`, `"llama_cpp"`, or a `Provider` for one that is not among them.
        base_url: where the API is; default: the provider's own host, or the port its server listens on by default.
        api_key: sent as a bearer token. Never printed, written as data or put in an error. Default: the environment
            variable `api_key_env`, if named; at the provider's own host the provider's variable (`CO_API_KEY`,
            `JINA_API_KEY`, `VOYAGE_API_KEY`), which is sent nowhere else.
        timeout: seconds for a request, from connecting to the last byte of the reply.
        max_concurrency: requests in flight.
        requests_per_minute, tokens_per_minute: limits of the account; what would exceed them waits in the engine.
        max_documents: documents in one request; default 100, or what the provider takes if that is less.
        scale: of the scores, where the server is set up to give another than the provider's usual one.
        architecture: for counting FLOPs, as for `OpenAIChat`.
        extra_body: further fields of the request, such as `{"max_tokens_per_doc": 512}`.
        headers: further headers. Like `api_key` never printed or written as data.
        max_reply_bytes: the longest reply that is read, unpacked; default 32 MiB.

    Scores are matched by index. A document without a score, with two, or with one off the scale becomes a `Failure`; an
    index that was never sent puts the numbering in doubt and fails the whole request. `jina-reranker-v3` scores the
    documents of a request together; its answers are never cached.

    Tokens are those the service reports for the request, shared out among its documents by length; Cohere's search
    units are counted in `Usage.search_units`.

    Raises `ModelError` for what the server or the network does, `ConfigError` without an API key where one is needed,
    `MissingExtra` without httpx.

    >>> model = RerankService("rerank-v3.5", "cohere")
    >>> model.classify([Classify(model, "tall mountain", text) for text in ("Everest", "a recipe")])
    [Score(tokens_in=None, tokens_out=0, value=0.93, search_units=1), Score(..., value=0.02, search_units=0)]
    """

    model: Annotated[str, Field(min_length=1)]
    provider: ProviderRef
    base_url: Url = ""
    api_key: str | None = field(default=None, repr=False)
    api_key_env: Variable | None = None
    timeout: Positive = 60.0
    max_concurrency: PositiveInt = 8
    requests_per_minute: PositiveInt | None = None
    tokens_per_minute: PositiveInt | None = None
    max_documents: PositiveInt | None = None
    scale: Scale | None = None
    extra_body: dict[str, Any] | None = field(default=None, hash=False)
    headers: dict[str, str] | None = field(default=None, repr=False, hash=False)
    architecture: ArchitectureRef = None
    max_reply_bytes: PositiveInt = MOST

    def __post_init__(self) -> None:
        scale = LISTWISE.get(self._bare_name, self._provider.scale)
        for name, value in (("base_url", self._provider.base_url), ("scale", scale)):
            object.__setattr__(self, name, getattr(self, name) or value)
        self._settle(self._provider.path)

    @property
    def _provider(self) -> Provider:
        return PROVIDERS[self.provider] if isinstance(self.provider, str) else self.provider

    @property
    def _bare_name(self) -> str:
        return self.model.rpartition("/")[2]

    @property
    def name(self) -> str:
        return self.model

    @property
    def max_batch(self) -> int:
        return self.max_documents or min(SENT_AT_ONCE, self._provider.most_documents or SENT_AT_ONCE)

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        return ("classify",)

    @property
    def cache_key(self) -> str | None:
        if self._bare_name in LISTWISE:
            return None
        extra = json.dumps(self.extra_body, sort_keys=True, default=repr) if self.extra_body else ""
        return f"rerank:{self.base_url}/{self._provider.path}:{self.model}:{extra}{self._tenant}"

    def together(self, call: Classify) -> str:
        """Calls of one batch have this in common."""
        return call.query

    def classify(self, calls: Sequence[Classify]) -> list[Score | Failure]:
        """One score per pair; one request for each query and `max_documents` documents."""
        answers: dict[int, Score | Failure] = {}
        for places in self._requests(calls):
            scores = self._hold(self._provider.path, self._scoring([calls[place] for place in places]))
            answers.update(zip(places, scores, strict=True))
        return [answers[place] for place in range(len(calls))]

    async def aclassify(self, calls: Sequence[Classify]) -> list[Score | Failure]:
        """As `classify`, without blocking the event loop."""
        answers: dict[int, Score | Failure] = {}
        for places in self._requests(calls):
            scores = await self._ahold(self._provider.path, self._scoring([calls[place] for place in places]))
            answers.update(zip(places, scores, strict=True))
        return [answers[place] for place in range(len(calls))]

    def _requests(self, calls: Sequence[Classify]) -> Iterator[list[int]]:
        """Places of the calls that go out together."""
        of_query: dict[str, list[int]] = {}
        for place, call in enumerate(calls):
            of_query.setdefault(self.together(call), []).append(place)
        for places in of_query.values():
            for start in range(0, len(places), self.max_batch):
                yield places[start : start + self.max_batch]

    def _scoring(self, calls: Sequence[Classify]) -> Dialogue[list[Score | Failure]]:
        texts = [neutralise_control(call.text) for call in calls]
        body = self._provider.request(self.model, neutralise_control(calls[0].query), texts)
        reply = yield {**body, **(self.extra_body or {})}
        if reply.status != 200:
            raise self._error(reply)
        data = self._data(reply)
        results = found(data, self._provider.results)
        if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
            raise self._unusable("something that is not a list of results", data)
        return self._priced(calls, self._scores(results, len(calls)), data)

    def _scores(self, results: Sequence[dict[str, Any]], count: int) -> list[float | Failure]:
        given: dict[int, list[Any]] = {place: [] for place in range(count)}
        for result in results:
            index = result.get(self._provider.index)
            if type(index) is not int or index not in given:
                problem = f"{self.name} scored document {index!r:.20}; {count} were sent, numbered from 0"
                return [Failure("malformed", problem)] * count
            given[index].append(result.get(self._provider.score))
        scores = [self._score(place, values) for place, values in given.items()]
        assert self.scale is not None
        off = [score for score in scores if isinstance(score, float) and not _on(self.scale, score)]
        if off:
            problem = f"{self.name} gave the score {off[0]:g}, which is no {self.scale.kind}; set `scale` to what it is"
            return [Failure("malformed", problem)] * count
        return scores

    def _score(self, place: int, values: Sequence[Any]) -> float | Failure:
        if len(values) != 1:
            problem = "no score" if not values else f"{len(values)} scores"
            return Failure("malformed", f"{self.name} gave {problem} for a document")
        number = values[0]
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            return Failure("malformed", f"{self.name} gave {number!r:.20} as a score")
        return float(number)

    def _priced(self, calls: Sequence[Classify], scores: Sequence[float | Failure], data: Any) -> list[Score | Failure]:
        """Answers with their share of what the request cost. Its search units are the first answer's."""
        tokens = self._billed(data, self._provider.tokens)
        lengths = [estimate_tokens(call.query) + estimate_tokens(call.text) for call in calls]
        parts: Sequence[int | None] = [None] * len(calls) if tokens is None else shared(tokens, lengths)
        units = self._billed(data, self._provider.search_units) or 0
        answers: list[Score | Failure] = []
        for score, part in zip(scores, parts, strict=True):
            if isinstance(score, Failure):
                answers.append(replace(score, tokens_in=part, tokens_out=0, wrote=True))
            else:
                answers.append(Score(score, units, tokens_in=part, tokens_out=0))
                units = 0
        return answers

    def _counted(self, data: Any) -> tuple[int | None, int | None]:
        return self._billed(data, self._provider.tokens), None

    def _billed(self, data: Any, place: tuple[str, ...] | None) -> int | None:
        count = None if place is None else found(data, place)
        return int(count) if isinstance(count, (int, float)) and math.isfinite(count) and count >= 0 else None

    @property
    def _home(self) -> Home | None:
        return self._provider.home


def shared(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole parts as large as the weights ask. They add up to `total`.

    >>> shared(10, [1, 1, 2])
    [2, 3, 5]
    """
    whole = sum(weights)
    bounds = accumulate(weights, initial=0)
    marks = [total * bound // whole if whole else total * place // len(weights) for place, bound in enumerate(bounds)]
    return [after - before for before, after in pairwise(marks)]


def _on(scale: Scale, score: float) -> bool:
    """Whether a score can be one of this scale."""
    low = -math.inf if scale.low is None else scale.low
    high = math.inf if scale.high is None else scale.high
    return low - ROUNDING <= score <= high + ROUNDING
