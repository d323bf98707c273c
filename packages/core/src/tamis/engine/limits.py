"""Limits of a model: batches at the same time, requests and tokens per minute.

They belong to the model object, so they hold across engines, stages, adapters, threads and event loops. Nothing here
keeps a model alive.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any
from weakref import ref

from tamis.engine.limiter import Limiter
from tamis.engine.pace import Pace

UNREFERABLE = 256
"""Models that take no weak reference (classes with `__slots__`) are kept alive, this many of them."""


@dataclass(frozen=True)
class Limits:
    """Who holds one model now, and what was sent to it in the last minute."""

    limiter: Limiter = field(default_factory=Limiter)
    pace: Pace = field(default_factory=Pace)


class Table:
    """The `Limits` of each live model, by identity."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._weak: dict[int, tuple[ref[Any], Limits]] = {}
        self._strong: OrderedDict[int, tuple[Any, Limits]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._weak) + len(self._strong)

    def of(self, model: Any) -> Limits:
        key = id(model)
        held = self._weak.get(key)
        if held is not None and held[0]() is model:
            return held[1]
        with self._lock:
            held = self._weak.get(key)
            if held is not None and held[0]() is model:
                return held[1]
            if key in self._strong:
                self._strong.move_to_end(key)
                return self._strong[key][1]
            limits = Limits()
            try:
                # The callback takes no lock: the garbage collector may call it in a thread that holds ours.
                self._weak[key] = ref(model, lambda _: self._weak.pop(key, None)), limits
            except TypeError:
                self._strong[key] = model, limits
                if len(self._strong) > UNREFERABLE:
                    self._strong.popitem(last=False)
            return limits


LIMITS = Table()
"""Of this process."""
