"""A model that answers from arithmetic: for dry runs, and to see what a pipeline would ask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from tamis.architectures import ArchitectureRef
from tamis.calls import (
    ChoiceLogprobs,
    Classify,
    ClassifyVectors,
    Embed,
    EmbedTokens,
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
from tamis.part import part
from tamis.scale import PROBABILITY, Scale
from tamis.tokens import estimate_tokens


@part
class CostOnly:
    """Answers every kind of call with a value of the right shape that prefers nothing, so that plans run to their
    end.

    In the place of a model that is not at hand, it tells what that would spend: `architecture` is the name of a
    well-known model or an `Architecture`; without it, what `name` says.

    >>> from tamis import CrossEncoder, Engine
    >>> stage = CrossEncoder(CostOnly(architecture="bge-reranker-v2-m3"))
    >>> Engine().dry_run(stage, "tall mountain", ["Everest"] * 100).flops
    362741760000.0
    """

    name: str = "cost-only"
    max_batch: Annotated[int, Field(ge=1)] = 1_000_000
    scale: Scale = PROBABILITY
    architecture: ArchitectureRef = None

    def generate(self, calls: Sequence[Generate]) -> list[Generated]:
        return [Generated(call.expect) for call in calls]

    def choice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Logprobs]:
        return [Logprobs((-math.log(len(call.choices)),) * len(call.choices)) for call in calls]

    def prompt_logprobs(self, calls: Sequence[PromptLogprobs]) -> list[Logprobs]:
        return [Logprobs((-1.0,) * max(1, estimate_tokens(call.continuation))) for call in calls]

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        return [Score(0.5) for _ in calls]

    def classify_vectors(self, calls: Sequence[ClassifyVectors]) -> list[Score]:
        return [Score(0.5) for _ in calls]

    def score_list(self, calls: Sequence[ScoreList]) -> list[Scores]:
        return [Scores((0.5,) * len(call.texts)) for call in calls]

    def embed(self, calls: Sequence[Embed]) -> list[Vector]:
        return [Vector((1.0,)) for _ in calls]

    def embed_tokens(self, calls: Sequence[EmbedTokens]) -> list[TokenVectors]:
        import numpy as np

        return [TokenVectors(np.ones((1, 1), np.float32)) for _ in calls]
