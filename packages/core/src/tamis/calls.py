"""What a stage may ask of a model, and what it gets back. Plain data; nothing here talks to anything.

Each call class names the capability a model must have to answer it: the model's method of that name.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from tamis.ranking import Ranking

Capability = Literal[
    "generate",
    "choice_logprobs",
    "prompt_logprobs",
    "classify",
    "classify_vectors",
    "score_list",
    "embed",
    "embed_tokens",
]


@dataclass(frozen=True, slots=True)
class Message:
    """One chat turn. `images`: addresses (`https:` or `data:`) of pictures that come after `content`, for models that
    say they take some."""

    role: Literal["system", "user", "assistant"]
    content: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One question to one model. `model` is any object with the method `capability` names."""

    capability: ClassVar[Capability]
    model: Any


@dataclass(frozen=True, slots=True)
class Generate(Call):
    """Write text after `messages`. Answered by `Generated`.

    `schema` is a JSON schema the text should obey; models that cannot enforce it ignore it. `expect` is a text of the
    shape a good answer has: it sizes a dry run. `attempt` tells a repeated question from the first, so that a cache
    does not repeat the answer. `max_tokens` counts output tokens.
    """

    capability: ClassVar[Capability] = "generate"
    messages: tuple[Message, ...]
    max_tokens: int = 512
    temperature: float = 0.0
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    stop: tuple[str, ...] = ()
    expect: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class ChoiceLogprobs(Call):
    """Log-probabilities of each of `choices` as the next token after `messages`. Answered by `Logprobs`."""

    capability: ClassVar[Capability] = "choice_logprobs"
    messages: tuple[Message, ...]
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PromptLogprobs(Call):
    """Log-probabilities of the tokens of `continuation` after `prefix`. Answered by `Logprobs`, one a token."""

    capability: ClassVar[Capability] = "prompt_logprobs"
    prefix: str
    continuation: str


@dataclass(frozen=True, slots=True)
class Classify(Call):
    """The score a cross-encoder gives the pair (`query`, `text`). Answered by `Score`.

    `instruction`: what the asker means by relevant; models that take none ignore it.
    """

    capability: ClassVar[Capability] = "classify"
    query: str
    text: str
    instruction: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ClassifyVectors(Call):
    """As `Classify`, for a passage given as the vectors another model compressed it to: a numpy array of shape
    (vectors, width), not to be written to. Answered by `Score`."""

    capability: ClassVar[Capability] = "classify_vectors"
    query: str
    vectors: Any = field(repr=False)
    instruction: str | None = None


@dataclass(frozen=True, slots=True)
class ScoreList(Call):
    """The scores of `texts` for `query`, each given in view of the others. Answered by `Scores`."""

    capability: ClassVar[Capability] = "score_list"
    query: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Embed(Call):
    """The vector of `text`, embedded as a query or as a passage. Answered by `Vector`."""

    capability: ClassVar[Capability] = "embed"
    text: str
    role: Literal["query", "passage"] = "passage"


@dataclass(frozen=True, slots=True)
class EmbedTokens(Call):
    """A vector for each token of `text`, embedded as a query or as a passage, or fewer that stand for all of them.
    Answered by `TokenVectors`."""

    capability: ClassVar[Capability] = "embed_tokens"
    text: str
    role: Literal["query", "passage"] = "passage"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model gave. Token counts are `None` when the model does not report them."""

    tokens_in: int | None = field(default=None, kw_only=True)
    tokens_out: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Generated(Answer):
    """`text` as the model wrote it: never trusted. `complete` is false when the model hit its token limit."""

    text: str
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Logprobs(Answer):
    """Natural-log probabilities, in the order of the choices or tokens; `-inf` for a choice the model did not show."""

    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Score(Answer):
    """One number, on the scale the model declares.

    `search_units`: what a service that bills by the search bills. `artefact`: what the model made of the passage on the
    way, for a generator to read in its place (OSCAR's compressed tokens); answers with one are not cached.
    """

    value: float
    search_units: int = 0
    artefact: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Scores(Answer):
    """One number a text, in the order of the texts, on the scale the model declares; NaN where there is none."""

    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Vector(Answer):
    """An embedding."""

    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TokenVectors(Answer):
    """One embedding a token: a numpy array of shape (tokens, width), not to be written to. Each row of length 1 where
    tokens are compared (`LateInteraction`)."""

    values: Any


@dataclass(frozen=True, slots=True)
class Failure:
    """A call without an answer. An ordinary value that a plan receives in the answer's place, never an exception."""

    why: Literal["error", "deadline", "budget", "cancelled", "malformed"]
    message: str

    def __str__(self) -> str:
        return f"{self.why}: {self.message}" if self.message else self.why


Plan = Generator[list[Call], Sequence[Any], Ranking]
"""A plan yields batches of calls, receives the answers (or `Failure`s) in the same order, and returns a ranking."""
