"""REBEL: rerank beyond relevance."""

from __future__ import annotations

from pydantic import FiniteFloat

from tamis.criteria.criterion import RELEVANCE, STANDARD, Criteria, CriterionRef
from tamis.criteria.multi_criteria import MultiCriteria
from tamis.parts.part import part
from tamis.values.model import ModelRef


@part
class Rebel(MultiCriteria):
    """Multi-criteria reranking by a language model, with the defaults of the paper.

    `Rebel(model)` is the one-turn method: relevance 0..10 and five criteria 0..5 with weight 0.5, a gate at relevance
    3, ties by authoritativeness. `Rebel(model, criteria="infer")` is the two-turn one: the model first names the
    criteria that matter for the query. Calls: ceil(n / 10), one more to infer (none when the engine's cache has it).
    Other fields as in `MultiCriteria`. Source: LeVine and Varjavand, 2025 (arXiv 2504.07104).

    >>> from tamis.models import OpenAIChat
    >>> Rebel(OpenAIChat("qwen3-8b", base_url="http://localhost:8000/v1"), depth=20)  # doctest: +SKIP
    """

    model: ModelRef
    criteria: Criteria = tuple(STANDARD.values())
    relevance: CriterionRef = RELEVANCE
    gate: FiniteFloat | None = 3.0
    tie_break: str | None = None

    def __post_init__(self) -> None:
        standard = "authoritativeness"
        if self.tie_break is None and standard in (criterion.name for criterion in self.given):
            object.__setattr__(self, "tie_break", standard)
        super().__post_init__()
