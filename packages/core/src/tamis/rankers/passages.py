"""Long documents as passages: where they are cut, and what their scores make of the document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import NonNegativeInt, PositiveInt

from tamis.errors import ConfigError, ScaleError
from tamis.parts.options import NOT_GIVEN, OPTIONAL, settle
from tamis.parts.part import part
from tamis.text.terms import passages
from tamis.values.checks import whole
from tamis.values.ranking import Candidate
from tamis.values.scale import PROBABILITY, Scale, graded, sigmoid

Aggregate = Literal["max", "first", "mean", "sum", "best"]


@part
class Passages:
    """Scores a document by its passages.

    Passages have at most `words` words and overlap by `overlap`; one ends with a sentence where one ends in its last
    `overlap` words. Of a document with more than `at_most`, that many evenly spaced ones are read, its first and last
    among them. Each has the document's title in front. A text without spaces is one passage.

    `aggregate`: the document's score is that of its best passage (`"max"`: MaxP), of its first, the only one then read
    (`"first"`: FirstP), the mean of all, the mean of the `count` best (`"best"`), or the sum of all as probabilities
    (`"sum"`: SumP; scale graded, from 0 to `at_most`). Best passage for answers that are in one place, means for
    relevance spread over a document. Sources: Dai and Callan, 2019 (MaxP, FirstP, SumP); the widths are
    PARADE's (Li et al., 2020).

    >>> Passages(words=5, overlap=2).texts(Candidate("One two three four. Five six seven."))
    ['One two three four.', 'three four. Five six seven.']
    """

    words: PositiveInt = 150
    overlap: NonNegativeInt = 50
    at_most: Annotated[PositiveInt, OPTIONAL] = NOT_GIVEN
    aggregate: Aggregate = "max"
    count: Annotated[PositiveInt, OPTIONAL] = NOT_GIVEN

    usual: ClassVar[Mapping[str, Any]] = {"at_most": 16, "count": 3}

    def __post_init__(self) -> None:
        first, best = self.aggregate == "first", self.aggregate == "best"
        settle(self, "at_most", off="with aggregate='first', which reads one passage" if first else None)
        settle(
            self, "count", off=None if best else f"with aggregate={self.aggregate!r}", remedy="take aggregate='best'"
        )
        if 2 * self.overlap >= self.words:
            raise ConfigError(f"overlap must be less than half of words: {self.overlap} of {self.words}")

    def texts(self, candidate: Candidate) -> list[str]:
        """The passages of a candidate that are read; one at least."""
        found = passages(candidate.text, self.words, self.overlap, 1 if self.aggregate == "first" else self.at_most)
        title = candidate.title
        return [whole(f"{title}\n{text}" if title and not text.startswith(title) else text) for text in found]

    def score(self, values: Sequence[float], scale: Scale) -> float:
        """The document's score from those of its passages, on `self.scale(scale)`."""
        if self.aggregate == "first":
            return values[0]
        if self.aggregate == "max":
            return max(values)
        if self.aggregate == "sum":
            return sum(sigmoid(value) if scale.kind == "logit" else value for value in values)
        best = sorted(values, reverse=True)[: self.count if self.aggregate == "best" else None]
        return sum(best) / len(best)

    def scale(self, scale: Scale) -> Scale:
        """The scale of documents' scores. `ScaleError` for a sum of what are no probabilities."""
        if self.aggregate != "sum":
            return scale
        if scale.kind != "logit" and scale != PROBABILITY:
            raise ScaleError(f"aggregate 'sum' adds probabilities; the model's scores are {scale.kind}: take another")
        return graded(0, self.at_most)
