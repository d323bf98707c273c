"""What a stage may ask of a model, and what it gets back. Plain data; nothing here talks to anything.

A call class is all there is to say of a capability: its name (the model's method of that name answers it), the answer's
class, which of its fields a model reads, its stand-in for dry runs, and whether its answer may be kept. A new
capability is a new call class in `CALLS`, and an answer class if none fits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar

from tamis.text.tokens import estimate_tokens, most_tokens
from tamis.values.answers import Answer, Generated, Logprobs, Score, Scores, TokenVectors, Vector
from tamis.values.ranking import Ranking

Capability = str
"""The name of a model's method: the `capability` of one of `CALLS`."""


@dataclass(frozen=True, slots=True)
class Message:
    """One chat turn. `images`: pictures that come after `content`, for models that say they take some: `data:` URLs,
    and for a model with `allow_image_addresses` also addresses (`https:`), which its server opens."""

    role: Literal["system", "user", "assistant"]
    content: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One question to one model. `model` is any object with the method `capability` names.

    `reads`: the fields whose text the model reads. `cut`: whether it reads no more than the model's `max_length`
    tokens. `unkeyed`: fields that do not change the answer. `later`: fields that the first version did not have; they
    are part of a key only where they are set, so that answers kept before are still found. `usable`: whether an answer
    says what was asked for; one that does not is never kept, so that the next time the model is asked again.
    """

    capability: ClassVar[Capability]
    answer: ClassVar[type[Answer]]
    reads: ClassVar[tuple[str, ...]]
    cut: ClassVar[bool] = False
    unkeyed: ClassVar[frozenset[str]] = frozenset({"model"})
    later: ClassVar[frozenset[str]] = frozenset()
    model: Any
    usable: Callable[[Any], bool] | None = field(default=None, kw_only=True, repr=False, compare=False)

    def stand_in(self) -> Answer:
        """An answer of the right shape that prefers nothing: what a dry run goes on with."""
        raise NotImplementedError

    def content(self) -> Iterator[str]:
        """What the model reads."""
        for name in self.reads:
            value = getattr(self, name)
            for part in (value,) if isinstance(value, str) else value:
                yield getattr(part, "content", part)

    def tokens_read(self) -> int:
        """Estimated tokens the model reads."""
        tokens = 0
        for name in self.reads:
            value = getattr(self, name)
            if isinstance(value, str):
                tokens += estimate_tokens(value)
            else:
                tokens += sum([estimate_tokens(getattr(part, "content", part)) for part in value])
        longest = getattr(self.model, "max_length", None) if self.cut else None
        return min(tokens, longest) if longest else tokens

    def tokens_written(self) -> int:
        """Estimated tokens the model will write."""
        return 0

    def tokens_at_most(self) -> int:
        """Tokens to reserve for this call, in and out: no fewer than it can cost."""
        return self.read_at_most() + 1

    def read_at_most(self) -> int:
        """Tokens the model reads, no fewer than it can be."""
        return sum(map(most_tokens, self.content()))

    def passes(self, answer: Answer, read: int, wrote: int) -> tuple[int, int]:
        """What the model did, as tokens read and tokens written (n and m of `Architecture.flops`). A score or a choice
        is read off one next token."""
        return read, 1

    @property
    def of_passage(self) -> bool:
        """Whether the answer depends on a passage alone, so that it can serve later queries."""
        return False


@dataclass(frozen=True, slots=True)
class Generate(Call):
    """Write text after `messages`. Answered by `Generated`.

    `schema` is a JSON schema the text should obey; models that cannot enforce it ignore it. `expect` is a text of the
    shape a good answer has: it sizes a dry run. `attempt` tells a repeated question from the first, so that a cache
    does not repeat the answer. `max_tokens` counts output tokens. `thoughts`: further ones, in which a model may think
    before it answers; `None`: as many as the model asks for (`thinking_tokens`).
    """

    capability: ClassVar[Capability] = "generate"
    answer: ClassVar[type[Answer]] = Generated
    reads: ClassVar[tuple[str, ...]] = ("messages",)
    unkeyed: ClassVar[frozenset[str]] = frozenset({"model", "expect"})
    later: ClassVar[frozenset[str]] = frozenset({"thoughts"})
    messages: tuple[Message, ...]
    max_tokens: int = 512
    temperature: float = 0.0
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    stop: tuple[str, ...] = ()
    expect: str = ""
    attempt: int = 0
    thoughts: int | None = field(default=None, kw_only=True)

    def stand_in(self) -> Generated:
        wrote = self.tokens_written() if self.thoughts else None
        return Generated(self.expect, tokens_out=wrote, thoughts=self.thoughts)

    def tokens_written(self) -> int:
        """Estimated tokens of the answer, and all that it may think."""
        return estimate_tokens(self.expect) + (self.thoughts or 0)

    def tokens_at_most(self) -> int:
        return self.read_at_most() + self.max_tokens + (self.thoughts or 0)

    def passes(self, answer: Answer, read: int, wrote: int) -> tuple[int, int]:
        return read, wrote


@dataclass(frozen=True, slots=True)
class ChoiceLogprobs(Call):
    """Log-probabilities of each of `choices` as the next token after `messages`. Answered by `Logprobs`."""

    capability: ClassVar[Capability] = "choice_logprobs"
    answer: ClassVar[type[Answer]] = Logprobs
    reads: ClassVar[tuple[str, ...]] = ("messages",)
    messages: tuple[Message, ...]
    choices: tuple[str, ...]

    def stand_in(self) -> Logprobs:
        return Logprobs((-math.log(len(self.choices)),) * len(self.choices))


@dataclass(frozen=True, slots=True)
class PromptLogprobs(Call):
    """Log-probabilities of the tokens of `continuation` after `prefix`. Answered by `Logprobs`, one per token."""

    capability: ClassVar[Capability] = "prompt_logprobs"
    answer: ClassVar[type[Answer]] = Logprobs
    reads: ClassVar[tuple[str, ...]] = ("prefix", "continuation")
    prefix: str
    continuation: str

    def stand_in(self) -> Logprobs:
        return Logprobs((-1.0,) * max(1, estimate_tokens(self.continuation)))

    def passes(self, answer: Answer, read: int, wrote: int) -> tuple[int, int]:
        """Tokens whose likelihood is asked for cost what writing them would."""
        given = min(read, len(answer.values)) if isinstance(answer, Logprobs) else 1
        return read - given, given


@dataclass(frozen=True, slots=True)
class Classify(Call):
    """The score a cross-encoder gives the pair (`query`, `text`). Answered by `Score`.

    `instruction`: what the asker means by relevant; models that take none ignore it.
    """

    capability: ClassVar[Capability] = "classify"
    answer: ClassVar[type[Answer]] = Score
    reads: ClassVar[tuple[str, ...]] = ("query", "text")
    cut: ClassVar[bool] = True
    query: str
    text: str
    instruction: str | None = None

    def stand_in(self) -> Score:
        return Score(0.5)


@dataclass(frozen=True, slots=True, eq=False)
class ClassifyVectors(Call):
    """As `Classify`, for a passage given as the vectors another model compressed it to: a numpy array of shape
    (vectors, width), not to be written to. Answered by `Score`."""

    capability: ClassVar[Capability] = "classify_vectors"
    answer: ClassVar[type[Answer]] = Score
    reads: ClassVar[tuple[str, ...]] = ("query",)
    query: str
    vectors: Any = field(repr=False)
    instruction: str | None = None

    def stand_in(self) -> Score:
        return Score(0.5)

    def tokens_read(self) -> int:
        return estimate_tokens(self.query) + len(self.vectors)

    def read_at_most(self) -> int:
        return most_tokens(self.query) + len(self.vectors)


@dataclass(frozen=True, slots=True)
class ScoreList(Call):
    """The scores of `texts` for `query`, each given in view of the others. Answered by `Scores`."""

    capability: ClassVar[Capability] = "score_list"
    answer: ClassVar[type[Answer]] = Scores
    reads: ClassVar[tuple[str, ...]] = ("query", "texts")
    query: str
    texts: tuple[str, ...]

    def stand_in(self) -> Scores:
        return Scores((0.5,) * len(self.texts))


@dataclass(frozen=True, slots=True)
class Embed(Call):
    """The vector of `text`, embedded as a query or as a passage. Answered by `Vector`.

    `controls`: the text is a prompt, or ends in a token of ours, and control tokens spelled out in it count; what it
    holds from outside is harmless already. Otherwise models in this process read them as plain text.
    """

    capability: ClassVar[Capability] = "embed"
    answer: ClassVar[type[Answer]] = Vector
    reads: ClassVar[tuple[str, ...]] = ("text",)
    cut: ClassVar[bool] = True
    later: ClassVar[frozenset[str]] = frozenset({"controls"})
    text: str
    role: Literal["query", "passage"] = "passage"
    controls: bool = False

    def stand_in(self) -> Vector:
        return Vector((1.0,))

    def passes(self, answer: Answer, read: int, wrote: int) -> tuple[int, int]:
        return read, 0

    @property
    def of_passage(self) -> bool:
        return self.role == "passage"


@dataclass(frozen=True, slots=True)
class EmbedTokens(Call):
    """A vector for each token of `text`, embedded as a query or as a passage, or fewer that stand for all of them.
    Answered by `TokenVectors`."""

    capability: ClassVar[Capability] = "embed_tokens"
    answer: ClassVar[type[Answer]] = TokenVectors
    reads: ClassVar[tuple[str, ...]] = ("text",)
    cut: ClassVar[bool] = True
    text: str
    role: Literal["query", "passage"] = "passage"

    def stand_in(self) -> TokenVectors:
        return TokenVectors.of([[1.0]])

    def passes(self, answer: Answer, read: int, wrote: int) -> tuple[int, int]:
        return read, 0

    @property
    def of_passage(self) -> bool:
        return self.role == "passage"


CALLS: tuple[type[Call], ...] = (
    Generate,
    ChoiceLogprobs,
    PromptLogprobs,
    Classify,
    ClassifyVectors,
    ScoreList,
    Embed,
    EmbedTokens,
)
CAPABILITIES: tuple[Capability, ...] = tuple(call.capability for call in CALLS)


T = TypeVar("T")
Plan = Generator[list[Call], Sequence[Any], Ranking]
"""A plan yields batches of calls, receives the answers (or `Failure`s) in the same order, and returns a ranking."""

Asking = Generator[list[Call], Sequence[Any], T]
"""A generator that yields calls, receives their answers and returns a `T`."""


def together(plans: Sequence[Asking[T]]) -> Asking[list[T]]:
    """Run several plans at the same time: their pending calls go out in one batch, round by round. Results in plan
    order."""
    results: dict[int, T] = {}
    pending: dict[int, list[Call]] = {}

    def advance(index: int, answers: Sequence[Any] | None) -> None:
        pending.pop(index, None)
        try:
            calls = next(plans[index]) if answers is None else plans[index].send(answers)
            pending[index] = calls
        except StopIteration as stop:
            results[index] = stop.value

    for index in range(len(plans)):
        advance(index, None)
    while pending:
        answers = yield [call for calls in pending.values() for call in calls]
        start = 0
        for index, calls in list(pending.items()):
            advance(index, answers[start : start + len(calls)])
            start += len(calls)
    return [results[index] for index in range(len(plans))]
