"""How judgements add up: pairs to scores, several orders to one, two scores to one. Arithmetic only."""

from tamis.aggregation.fit import connected, membership, strengths
from tamis.aggregation.lists import (
    interpolated,
    log_likelihoods,
    mean,
    points,
    reciprocal_ranks,
    round_robin,
    spliced,
    unit,
    voted,
)
from tamis.aggregation.pairs import bradley_terry, elo, logit_sum, soft_sum, thurstone, wins

__all__ = [
    "bradley_terry",
    "connected",
    "elo",
    "interpolated",
    "log_likelihoods",
    "logit_sum",
    "mean",
    "membership",
    "points",
    "reciprocal_ranks",
    "round_robin",
    "soft_sum",
    "spliced",
    "strengths",
    "thurstone",
    "unit",
    "voted",
    "wins",
]
