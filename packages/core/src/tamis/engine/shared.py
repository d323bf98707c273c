"""The engine of everything that was given none: one per process, with its cache."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis.engine.engine import Engine

_lock = threading.Lock()


def default_engine() -> Engine:
    """The process's own `Engine()`, made at first use."""
    with _lock:
        return _made()


@lru_cache(maxsize=1)
def _made() -> Engine:
    from tamis.engine.engine import Engine

    return Engine()
