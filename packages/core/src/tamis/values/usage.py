"""What a ranking cost."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Usage:
    """Cost of one rerank. Add two to sum them.

    `calls`: answered by a model (retries and cached answers not counted); `cached`: answered by the cache; `retries`;
    `failed`: calls that ended without an answer; `tokens_in`, `tokens_out`: as reported by the model, else estimated
    (what failed requests cost, retried ones included, where the model reports it);
    `seconds`: wall time of the whole rerank; `rounds`: how often a plan had to wait for answers; `flops`: operations of
    the answered calls, by the architectures of their models (`tamis.compute.flops`); `flops_paper`: the same as
    E2R-FLOPs; `unmetered`: answered calls that both leave out, since the architecture of their model is unknown;
    `search_units`: searches billed by rerank services that do not bill tokens; `thoughts`: of `tokens_out`, those that
    models report to have thought, in a dry run all that they may think (an upper bound).
    """

    calls: int = 0
    cached: int = 0
    retries: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    rounds: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    flops_paper: float = 0.0
    unmetered: int = 0
    search_units: int = 0
    thoughts: int = 0

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))
