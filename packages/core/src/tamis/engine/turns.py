"""Turns in an event loop: of what begins at the same time, a few begin in each round of the loop.

A loop runs everything that is ready before it looks at its clocks and sockets again. A thousand reranks that begin
together would hold it up for as long as it takes to begin all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from weakref import WeakKeyDictionary

AT_ONCE = 4


class Turns:
    """Of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._new = loop.create_future
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._given = 0
        self._counting = False

    async def next(self) -> None:
        """Wait for a turn; none is waited for while fewer than `AT_ONCE` were given in this round of the loop."""
        if self._given < AT_ONCE and not self._waiting:
            self._count()
            return
        place = self._new()
        self._waiting.append(place)
        await place

    def _count(self) -> None:
        self._given += 1
        if not self._counting:
            self._counting = True
            self._call_soon(self._round)

    def _round(self) -> None:
        self._given, self._counting = 0, False
        while self._waiting and self._given < AT_ONCE:
            place = self._waiting.popleft()
            if not place.done():
                self._count()
                place.set_result(None)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


async def turn() -> None:
    """Wait for a turn in the running event loop."""
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = Turns(loop)
    await turns.next()
