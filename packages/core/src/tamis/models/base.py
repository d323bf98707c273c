"""What a model is to tamis: any object with a method for each kind of call it can answer.

A method takes a batch of calls and returns one answer (or `Failure`) a call, in the same order. An async twin with an
`a` in front (`agenerate`, ...) is used by the async driver when it is there. A model may raise: the engine retries what
is worth it (`ModelError.retryable`, rate limits, timeouts, server errors) and turns the rest into `Failure`s.

Optional attributes: `name` (for traces), `capabilities` (when having the method is not enough), `max_concurrency`
(batches at once, default 1), `max_batch` (calls a batch, default 1), `together(call)` (calls share a batch only where
it gives the same), `requests_per_minute` (batches) and `tokens_per_minute` (absent: any number), `context_window`
(tokens), `count_tokens(text)`, `images` (whether messages may carry pictures), `max_length` (tokens after which an
encoder cuts), `scale` (of the scores `classify`, `classify_vectors` and `score_list` give), `architecture` (an
`Architecture` or the name of a well-known model, for counting FLOPs; absent: what `name` says), `cache_key` (a string
that changes when answers may change; absent: never cached).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from tamis.calls import (
    Capability,
    ChoiceLogprobs,
    Classify,
    ClassifyVectors,
    Embed,
    EmbedTokens,
    Failure,
    Generate,
    Generated,
    Logprobs,
    PromptLogprobs,
    Score,
    ScoreList,
    Scores,
    TokenVectors,
    Vector,
)
from tamis.errors import CapabilityError
from tamis.tokens import estimate_tokens

CAPABILITIES: tuple[Capability, ...] = (
    "generate",
    "choice_logprobs",
    "prompt_logprobs",
    "classify",
    "classify_vectors",
    "score_list",
    "embed",
    "embed_tokens",
)


@runtime_checkable
class Generates(Protocol):
    """Writes text: chat models."""

    def generate(self, calls: Sequence[Generate]) -> Sequence[Generated | Failure]: ...


@runtime_checkable
class GivesChoiceLogprobs(Protocol):
    """Tells how likely each of some labels is as the next token: yes/no rankers."""

    def choice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> Sequence[Logprobs | Failure]: ...


@runtime_checkable
class GivesPromptLogprobs(Protocol):
    """Tells how likely a given continuation is: query likelihood."""

    def prompt_logprobs(self, calls: Sequence[PromptLogprobs]) -> Sequence[Logprobs | Failure]: ...


@runtime_checkable
class Classifies(Protocol):
    """Scores (query, text) pairs: cross-encoders."""

    def classify(self, calls: Sequence[Classify]) -> Sequence[Score | Failure]: ...


@runtime_checkable
class ClassifiesVectors(Protocol):
    """Scores queries against passages compressed beforehand: RRK, EDJE, GLIMMER."""

    def classify_vectors(self, calls: Sequence[ClassifyVectors]) -> Sequence[Score | Failure]: ...


@runtime_checkable
class ScoresLists(Protocol):
    """Scores texts in view of one another: ListConRanker, MVP, PE-Rank, jina-reranker-v3."""

    def score_list(self, calls: Sequence[ScoreList]) -> Sequence[Scores | Failure]: ...


@runtime_checkable
class Embeds(Protocol):
    """Turns texts into vectors."""

    def embed(self, calls: Sequence[Embed]) -> Sequence[Vector | Failure]: ...


@runtime_checkable
class EmbedsTokens(Protocol):
    """Turns texts into one vector a token: late interaction."""

    def embed_tokens(self, calls: Sequence[EmbedTokens]) -> Sequence[TokenVectors | Failure]: ...


def capabilities(model: Any) -> tuple[Capability, ...]:
    """What `model` can answer, sync or async."""
    declared = getattr(model, "capabilities", CAPABILITIES)
    return tuple(c for c in CAPABILITIES if c in declared and (hasattr(model, c) or hasattr(model, f"a{c}")))


def require(model: Any, capability: Capability, by: str) -> None:
    """Raise `CapabilityError` unless `model` can answer calls of this kind. Called where a stage is made."""
    if capability not in capabilities(model):
        able = ", ".join(capabilities(model)) or "none of tamis's capabilities"
        raise CapabilityError(
            f"{by} needs a model that can `{capability}`; {type(model).__name__} can: {able}. "
            f"Models that can are in tamis.models; any object with a `{capability}` method will do."
        )


def token_counter(model: Any) -> Callable[[str], int]:
    """The model's own `count_tokens`, else an estimate."""
    return getattr(model, "count_tokens", None) or estimate_tokens
