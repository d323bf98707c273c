"""One candidate, one question with a few labels for answers, read from the labels' probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import FiniteFloat

from tamis.errors import ConfigError
from tamis.judges.base import Asked, OneCall, Unit, Verdict
from tamis.judges.features import Show, instructed, texts, told
from tamis.judges.relevance import OVERHEAD, relevance_call
from tamis.parts.numbers import ShareBelowOne
from tamis.parts.part import part
from tamis.prompts.prompting import DATA_ONLY, PassageTokens, chat, fitting, passage_blocks, query_block
from tamis.prompts.template import TemplateRef
from tamis.values.answers import Failure, Logprobs
from tamis.values.calls import Capability, ChoiceLogprobs
from tamis.values.scale import LOG_LIKELIHOOD, LOGIT, PROBABILITY, Scale, graded

GRADING = f"You grade how well a passage answers a query. {DATA_ONLY}"
Readout = Literal["contrast", "margin", "expected", "peak", "weighted"]


@part
class Labels(OneCall):
    """How likely the model is to answer with each of `labels`, and what that is worth.

    `readout`: `"contrast"`, p(first) among two labels (scale probability); `"margin"`, the difference of their
    log-probabilities (logit); with `values`, one for each label: `"expected"`, the mean value under the probabilities
    normalised over the labels (graded); `"peak"`, the log-probability of the most valuable label; `"weighted"`, the
    likeliest label's value times its probability (graded, not monotone in it).

    The labels must together hold at least `least_mass` of the probability, or the passage is not judged: a model that
    thinks first never says them. `template`: the wording a checkpoint was trained with. Three or four levels serve
    best. Sources: yes/no and graded labels (Zhuang et al., 2023); margin (mxbai-rerank-v2); weighted (ERank, 2025).
    """

    unit: ClassVar[Unit] = "point"
    labels: tuple[str, ...] = ("Yes", "No")
    values: tuple[FiniteFloat, ...] | None = None
    readout: Readout = "contrast"
    passage_tokens: PassageTokens = 512
    show: Show = ()
    instruction: str | None = None
    least_mass: ShareBelowOne = 1e-6
    template: TemplateRef = None

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels) or not all(map(str.strip, self.labels)):
            raise ConfigError(f"Labels needs two or more different labels, got {self.labels}")
        if self.readout in ("contrast", "margin"):
            if len(self.labels) != 2:
                raise ConfigError(
                    f"readout {self.readout!r} compares two labels, got {len(self.labels)}: {self.labels}"
                )
        elif self.values is None or len(self.values) != len(self.labels):
            raise ConfigError(f"readout {self.readout!r} needs a value for each of {self.labels}, got {self.values}")

    def call(self, asked: Asked, attempt: int = 0) -> ChoiceLogprobs:
        (text,) = texts(asked, self.show)
        query = instructed(asked.query, self.instruction)
        if self.template:
            room = fitting(asked.model, 1, self.passage_tokens, OVERHEAD + len(query.text) // 2)
            messages = self.template.messages(asked.model, query, [text], ["1"], room)
            return ChoiceLogprobs(asked.model, messages, self.labels)
        if self.values is None and not self.show:
            return relevance_call(asked.model, query, text, (self.labels[0], self.labels[1]), self.passage_tokens)
        reserved = OVERHEAD + (len(query.text) + sum(map(len, self.labels))) // 2
        user = "\n\n".join(
            [
                query_block(query.text, query.instruction),
                passage_blocks([text], asked.model, fitting(asked.model, 1, self.passage_tokens, reserved)),
                *told(self.show),
                f"How well does the passage answer the query? Answer with one of these only: {', '.join(self.labels)}.",
            ]
        )
        return ChoiceLogprobs(asked.model, chat(GRADING, user), self.labels)

    def read(self, answer: Logprobs, count: int) -> Verdict:
        if len(answer.values) != len(self.labels):
            return Verdict.none(count, Failure("malformed", "the answer held no usable number"))
        values = [-math.inf if math.isnan(value) else min(value, 700.0) for value in answer.values]
        mass = sum(map(math.exp, values))
        if mass <= self.least_mass:
            told = (
                f"the labels {', '.join(self.labels)} hold {mass:.1g} of the probability; does the model think first?"
            )
            return Verdict.none(count, Failure("malformed", told))
        return Verdict.scored([self.score(values)], "clean", min(1.0, mass))

    def score(self, logprobs: Sequence[float]) -> float:
        """The readout of the labels' log-probabilities, one of which is above minus infinity."""
        top = max(logprobs)
        weights = [math.exp(value - top) for value in logprobs]
        if self.readout == "contrast":
            return weights[0] / (weights[0] + weights[1])
        if self.readout == "margin":
            return max(-1e3, min(1e3, logprobs[0] - logprobs[1]))
        assert self.values is not None
        total = math.fsum(weights)
        if self.readout == "expected":
            return math.fsum(v * w for v, w in zip(self.values, weights, strict=True)) / total
        if self.readout == "peak":
            return max(-1e3, logprobs[max(range(len(logprobs)), key=self.values.__getitem__)])
        likeliest = max(range(len(logprobs)), key=logprobs.__getitem__)
        return self.values[likeliest] * weights[likeliest] / total

    @property
    def needs(self) -> tuple[Capability, ...]:
        return ("choice_logprobs",)

    def scale(self, model: Any) -> Scale:
        if self.readout in ("expected", "weighted") and self.values:
            return graded(min(self.values), max(self.values))
        return {"margin": LOGIT, "peak": LOG_LIKELIHOOD}.get(self.readout, PROBABILITY)
