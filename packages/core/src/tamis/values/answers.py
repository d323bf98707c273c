"""What a model gives back, one class per kind of answer, and the value in its place when there is none."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

from tamis.text.tokens import estimate_tokens


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model gave. Token counts are `None` when the model does not report them.

    `stored`: whether a cache of answers may hold it.
    """

    stored: ClassVar[bool] = True
    tokens_in: int | None = field(default=None, kw_only=True)
    tokens_out: int | None = field(default=None, kw_only=True)

    @classmethod
    def of(cls, value: Any) -> Self:
        """From the bare value a function returned. `TypeError` or `ValueError` when it has another shape."""
        raise TypeError(type(value).__name__)

    def checked(self) -> Self:
        """This answer, its numbers as they should be held. `TypeError`, `ValueError` or `OverflowError` when it holds
        something else."""
        return self

    def tokens_written(self) -> int:
        """Estimated tokens the model wrote, where it does not report them."""
        return 0


def _numbers(values: Any) -> tuple[float, ...]:
    """A flat tuple of real numbers, from any sequence of them."""
    if isinstance(values, (str, bytes)):
        raise TypeError(f"numbers expected, got {type(values).__name__}")
    return values if type(values) is tuple and array("d", values) is not None else tuple(array("d", values))


@dataclass(frozen=True, slots=True)
class Generated(Answer):
    """`text` as the model wrote it: never trusted.

    `complete` is false for one that ends too early: at `limit` output tokens, thoughts included (`None`: at a limit
    that is not known), or where `stopped_by` something else ended it, such as a content filter. `thoughts`: of
    `tokens_out`, those in which the model thought, where it reports them.
    """

    text: str
    complete: bool = True
    limit: int | None = field(default=None, kw_only=True, repr=False, compare=False)
    stopped_by: str = field(default="", kw_only=True, repr=False, compare=False)
    thoughts: int | None = field(default=None, kw_only=True, repr=False, compare=False)

    @classmethod
    def of(cls, value: Any) -> Self:
        if not isinstance(value, str):
            raise TypeError(type(value).__name__)
        return cls(value)

    def checked(self) -> Self:
        if not isinstance(self.text, str):
            raise TypeError(f"text expected, got {type(self.text).__name__}")
        if isinstance(self.complete, bool):
            return self
        return replace(self, complete=self.complete is None or bool(self.complete))

    def tokens_written(self) -> int:
        return estimate_tokens(self.text)


@dataclass(frozen=True, slots=True)
class Numbers(Answer):
    """Several numbers of one text or prompt."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, value: Any) -> Self:
        return cls(tuple(map(float, value)))

    def checked(self) -> Self:
        held = _numbers(self.values)
        return self if held is self.values else replace(self, values=held)


@dataclass(frozen=True, slots=True)
class Logprobs(Numbers):
    """Natural-log probabilities, in the order of the choices or tokens; `-inf` for a choice the model did not show."""


@dataclass(frozen=True, slots=True)
class Score(Answer):
    """One number, on the scale the model declares.

    `search_units`: what a service that bills by the search bills. `compressed`: what the model made of the passage on
    the way, for a generator to read in its place (OSCAR's compressed tokens); answers with one are not cached.
    """

    value: float
    search_units: int = 0
    compressed: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, value: Any) -> Self:
        return cls(float(value))

    def checked(self) -> Self:
        if type(self.value) is float:
            return self
        if isinstance(self.value, (str, bytes)):
            raise TypeError(f"a number expected, got {type(self.value).__name__}")
        return replace(self, value=float(self.value))


@dataclass(frozen=True, slots=True)
class Scores(Numbers):
    """One number per text, in the order of the texts, on the scale the model declares; NaN where there is none."""


@dataclass(frozen=True, slots=True)
class Vector(Numbers):
    """An embedding."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenVectors(Answer):
    """One embedding per token: a numpy array of shape (tokens, width), not to be written to. Each row of length 1 where
    tokens are compared (`LateInteraction`)."""

    stored: ClassVar[bool] = False
    values: Any

    @classmethod
    def of(cls, value: Any) -> Self:
        import numpy as np

        rows = np.asarray(value, dtype=np.float32)
        if rows.ndim != 2:
            raise ValueError(f"no token vectors: an array of {rows.ndim} dimensions, not (tokens, width)")
        return cls(rows)

    def checked(self) -> Self:
        if getattr(self.values, "ndim", 0) == 2 and self.values.dtype.kind in "fiu":
            return self
        return replace(self, values=type(self).of(self.values).values)


Why = Literal["error", "deadline", "budget", "cancelled", "malformed"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A call without an answer. An ordinary value that a plan receives in the answer's place, never an exception.

    `tokens_in`, `tokens_out`: what the model reports to have read and written all the same. `wrote`: whether it may
    have written up to its limit, where it reports nothing; token budgets keep what was reserved for that.
    """

    why: Why
    message: str
    tokens_in: int | None = field(default=None, kw_only=True, repr=False, compare=False)
    tokens_out: int | None = field(default=None, kw_only=True, repr=False, compare=False)
    wrote: bool = field(default=False, kw_only=True, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.why}: {self.message}" if self.message else self.why


ROOM = (
    "if it thinks first, raise the model's thinking_budget (a framework's model: its own limit), put the judge inside "
    "Thinking(budget=...), or switch its thinking off"
)


def unread(problem: str, answer: Generated) -> Failure:
    """The failure of an answer in which a reader found a `problem`, with the cause where one is known: it was cut at
    the output limit, something stopped it, or it is empty.

    >>> unread("the answer named no passage", Generated("I cannot say.")).message
    'the answer named no passage'
    >>> unread("the answer named no passage", Generated("")).message
    'the answer named no passage: it is empty'
    """
    cause = ending(answer) or ("" if answer.text.strip() else "it is empty")
    return Failure("malformed", f"{problem}: {cause}" if cause else problem)


def ending(answer: Generated) -> str:
    """Why an answer ended too early, and what to do; empty for one that did not.

    >>> ending(Generated("[2] > [", complete=False, limit=28)).partition(";")[0]
    'it was cut at the output limit of 28 tokens (max_tokens)'
    """
    if answer.stopped_by:
        return f"it was stopped by the {answer.stopped_by}"
    if answer.complete:
        return ""
    limit = "" if answer.limit is None else f" of {answer.limit} tokens"
    return f"it was cut at the output limit{limit} (max_tokens); {ROOM}"
