"""Forward passes of torch side by side, each in one thread; and torch in a forked child."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tamis.errors import needed

_STARTING = threading.Lock()

WEIGHTS = frozenset({"_network"})
"""Parts that a forked child shares with its parent: tensors that nothing writes to."""


def _in_child() -> None:
    """OpenMP's threads are gone in a forked child, and a pass that waits for them never ends: there torch uses one."""
    global _STARTING
    _STARTING = threading.Lock()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def side_by_side(count: int) -> ThreadPoolExecutor:
    """Workers in which torch uses one thread each.

    Threads that share a pass wait for one another after every product, and spin while they wait: where other work takes
    a core, all of them wait. How many threads torch uses elsewhere is as it was: its setting is by thread, and only
    the default for threads to come is set aside while the workers start.
    """
    torch = needed("torch", "A local model", "transformers")
    started = threading.Barrier(count)

    def begin() -> None:
        torch.get_num_threads()  # else the first operation sets the default again
        torch.set_num_threads(1)

    def wait(_: int) -> Any:
        return started.wait()

    with _STARTING:
        default = torch.get_num_threads()
        workers = ThreadPoolExecutor(count, thread_name_prefix="tamis-torch", initializer=begin)
        list(workers.map(wait, range(count)))
        torch.set_num_threads(default)
    return workers
