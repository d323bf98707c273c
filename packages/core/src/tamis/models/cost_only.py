"""A model that answers from arithmetic: for dry runs, and to see what a pipeline would ask."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import PositiveInt

from tamis.compute.architectures import ArchitectureRef
from tamis.parts.part import part
from tamis.values.answers import Answer
from tamis.values.calls import CAPABILITIES, Call
from tamis.values.scale import PROBABILITY, Scale


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
    max_batch: PositiveInt = 1_000_000
    scale: Scale = PROBABILITY
    architecture: ArchitectureRef = None


def _stand_ins(self: CostOnly, calls: Sequence[Call]) -> list[Answer]:
    return [call.stand_in() for call in calls]


for _capability in CAPABILITIES:
    setattr(CostOnly, _capability, _stand_ins)
