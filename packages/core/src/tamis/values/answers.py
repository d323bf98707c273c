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
    """`text` as the model wrote it: never trusted. `complete` is false when the model hit its token limit."""

    text: str
    complete: bool = True

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
class Logprobs(Answer):
    """Natural-log probabilities, in the order of the choices or tokens; `-inf` for a choice the model did not show."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, value: Any) -> Self:
        return cls(tuple(map(float, value)))

    def checked(self) -> Self:
        held = _numbers(self.values)
        return self if held is self.values else replace(self, values=held)


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
class Scores(Answer):
    """One number per text, in the order of the texts, on the scale the model declares; NaN where there is none."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, value: Any) -> Self:
        return cls(tuple(map(float, value)))

    def checked(self) -> Self:
        held = _numbers(self.values)
        return self if held is self.values else replace(self, values=held)


@dataclass(frozen=True, slots=True)
class Vector(Answer):
    """An embedding."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, value: Any) -> Self:
        return cls(tuple(map(float, value)))

    def checked(self) -> Self:
        held = _numbers(self.values)
        return self if held is self.values else replace(self, values=held)


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
    """A call without an answer. An ordinary value that a plan receives in the answer's place, never an exception."""

    why: Why
    message: str

    def __str__(self) -> str:
        return f"{self.why}: {self.message}" if self.message else self.why


def unread(problem: str, complete: bool) -> Failure:
    """The failure of an answer that could not be read; one that is not `complete` ended at the model's output limit.

    >>> unread("the answer named no passage", complete=True).message
    'the answer named no passage'
    """
    if complete:
        return Failure("malformed", problem)
    return Failure(
        "malformed",
        f"{problem}: it was cut at the output limit (max_tokens); a model that thinks first needs a judge inside "
        "Thinking(budget=...), or its thinking switched off",
    )
