"""The engine of everything that was given none: one per process, with its cache."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from tamis.processes import renewed_in_child

if TYPE_CHECKING:
    from tamis.engine.engine import Engine


class _Held:
    """The lock under which the engine is made; new in a forked child."""

    def __init__(self) -> None:
        self._renew()
        renewed_in_child(self, _Held._renew)

    def _renew(self) -> None:
        self.lock = threading.Lock()


_held = _Held()


def default_engine() -> Engine:
    """The process's own `Engine()`, made at first use."""
    with _held.lock:
        return _made()


@lru_cache(maxsize=1)
def _made() -> Engine:
    from tamis.engine.engine import Engine

    return Engine()
