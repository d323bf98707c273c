"""Models that wait for each other: each reranks with the other inside its own call, and no place becomes free."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from tamis.processes import renewed_in_child

if TYPE_CHECKING:
    from tamis.engine.limiter import Lease

log = logging.getLogger("tamis")


class Jams:
    """Finds them one at a time, so that one is let through where one is enough."""

    def __init__(self) -> None:
        self._begin()
        renewed_in_child(self, Jams._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()

    def open(self, lease: Lease) -> None:
        """Let `lease` through, beyond the limit of its model, when all that hold that model wait for it or for others
        that are stuck like it."""
        with self._lock:
            if not stuck(lease):
                return
            log.warning(
                "models that rerank with each other inside their own calls wait for each other; one call is let "
                "through beyond its model's max_concurrency. Raise max_concurrency of these models"
            )
            lease.limiter.let_through(lease)


JAMS = Jams()


def stuck(lease: Lease) -> bool:
    """Whether a lease that waits can never be admitted: each holder in its way has a lease that waits inside its call,
    and so on, round in circles."""
    holders: dict[Lease, list[Lease]] = {}
    open_ = [lease]
    while open_:
        waiting = open_.pop()
        if waiting in holders:
            continue
        holders[waiting] = waiting.limiter.holders()
        open_ += [inner for holder in holders[waiting] for inner in list(holder.waiting_inside)]
    left = set(holders)
    while moving := {waiting for waiting in left if _moves(waiting, holders[waiting], left)}:
        left -= moving
    return lease in left


def _moves(waiting: Lease, holders: list[Lease], left: set[Lease]) -> bool:
    """Whether a place becomes free for `waiting`, with those `left` stuck."""
    waits = not (waiting.over or waiting.holds)
    return (
        not waits
        or len(holders) < waiting.slots
        or any(left.isdisjoint(list(holder.waiting_inside)) for holder in holders)
    )
