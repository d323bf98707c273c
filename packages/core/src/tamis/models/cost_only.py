"""A model that answers from arithmetic: for dry runs, and to see what a pipeline would ask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tamis.calls import ChoiceLogprobs, Classify, Embed, Generate, Generated, Logprobs, PromptLogprobs, Score, Vector
from tamis.scale import PROBABILITY, Scale


@dataclass(frozen=True)
class CostOnly:
    """Answers every kind of call with a value of the right shape that prefers nothing, so that plans run to their
    end."""

    name: str = "cost-only"
    max_batch: int = 1_000_000
    scale: Scale = PROBABILITY

    def generate(self, calls: Sequence[Generate]) -> list[Generated]:
        return [Generated(call.expect) for call in calls]

    def choice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Logprobs]:
        return [Logprobs((-math.log(len(call.choices)),) * len(call.choices)) for call in calls]

    def prompt_logprobs(self, calls: Sequence[PromptLogprobs]) -> list[Logprobs]:
        return [Logprobs((-1.0,)) for _ in calls]

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        return [Score(0.5) for _ in calls]

    def embed(self, calls: Sequence[Embed]) -> list[Vector]:
        return [Vector((1.0,)) for _ in calls]
