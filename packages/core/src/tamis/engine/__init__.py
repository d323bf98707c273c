"""Drivers, limits, retry, deadline, budget, cache, usage and trace: everything that touches the outside."""

from tamis.engine.cache import Cache, DiskCache, MemoryCache
from tamis.engine.cancel import Cancellation
from tamis.engine.engine import Engine
from tamis.engine.passages import DiskPassages, MemoryPassages, PassageCache
from tamis.engine.trace import Event

__all__ = [
    "Cache",
    "Cancellation",
    "DiskCache",
    "DiskPassages",
    "Engine",
    "Event",
    "MemoryCache",
    "MemoryPassages",
    "PassageCache",
]
