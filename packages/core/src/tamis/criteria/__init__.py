"""The multi-criteria engine: criteria, where their scores come from, how they combine."""

from tamis.criteria.criterion import RELEVANCE, STANDARD, Criterion
from tamis.criteria.diversity import Diversity
from tamis.criteria.features import Clarity, Coverage, Depth
from tamis.criteria.metadata import Authority, Field, Recency
from tamis.criteria.multi_criteria import MultiCriteria
from tamis.criteria.rebel import Rebel
from tamis.criteria.sources import Incoming, Ranker, Rubric, Source

__all__ = [
    "RELEVANCE",
    "STANDARD",
    "Authority",
    "Clarity",
    "Coverage",
    "Criterion",
    "Depth",
    "Diversity",
    "Field",
    "Incoming",
    "MultiCriteria",
    "Ranker",
    "Rebel",
    "Recency",
    "Rubric",
    "Source",
]
