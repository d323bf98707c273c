"""Limits of a model: batches at the same time, requests and tokens per minute.

They belong to the model object, so they hold across engines, stages, adapters, threads and event loops. Nothing here
keeps a model alive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tamis.engine.identity import ByIdentity
from tamis.engine.limiter import Limiter
from tamis.engine.pace import Pace


@dataclass(frozen=True)
class Limits:
    """Who holds one model now, and what was sent to it in the last minute."""

    limiter: Limiter = field(default_factory=Limiter)
    pace: Pace = field(default_factory=Pace)

    @property
    def in_use(self) -> bool:
        return self.limiter.in_use


_limits = ByIdentity(Limits, lambda limits: limits.in_use)


def limits_of(model: Any) -> Limits:
    """Of a model object, or of the object that it says it speaks for (`limited_as`): several wrappers of one framework
    model are one model."""
    owner = getattr(model, "limited_as", None)
    return _limits.of(model if owner is None else owner)


def models_known() -> int:
    """How many models have limits now."""
    return len(_limits)
