"""Turns in an event loop: of what begins at the same time, a few begin in each round of the loop, more as others end.

A loop runs everything that is ready before it looks at its clocks and sockets again. A thousand reranks that begin
together would hold it up for as long as it takes to begin all of them. And each that has begun holds some hundred
objects, through which every full collection of garbage goes while the loop waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from weakref import WeakKeyDictionary, ref

from tamis.engine.cancel import Cancellation

AT_ONCE = 4
FREELY = 96
"""As many are under way at the same time without waiting for one to end."""
TICK = 0.001
"""Seconds between two that begin although none has ended: those under way may wait for something that never comes."""
TICKS = 1000
"""After about this many ticks all that wait have begun, however many they are."""


class Turns:
    """Of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)
        """The table of turns must keep no loop alive."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._given = 0
        self._counting = self._ticking = False
        self.open = 0

    async def next(self, left: float | None = None, cancel: Cancellation | None = None) -> None:
        """Wait for a turn, `left` seconds at most and until `cancel`, and take it; `end` gives it back. Nobody waits
        while fewer than `AT_ONCE` were given in this round of the loop and fewer than `FREELY` are taken."""
        if self._given >= AT_ONCE or self.open >= FREELY or self._waiting:
            await self._wait(left, cancel)
        else:
            self.open += 1
            self._count()

    def end(self) -> None:
        self.open -= 1
        if self._waiting:
            self._round_later()

    async def _wait(self, left: float | None, cancel: Cancellation | None) -> None:
        loop = asyncio.get_running_loop()
        place = loop.create_future()
        self._waiting.append(place)
        self._tick_later()
        late = None if left is None else loop.call_later(left, self._give, place)
        unsubscribe = cancel.subscribe_in_loop(lambda: self._give(place)) if cancel else None
        try:
            await place
        except BaseException:
            if place.done() and not place.cancelled():
                self.end()
            raise
        finally:
            if late is not None:
                late.cancel()
            if unsubscribe is not None:
                unsubscribe()

    def _count(self) -> None:
        self._given += 1
        self._round_later()

    def _round_later(self) -> None:
        loop = self._loop()
        if not self._counting and loop is not None and not loop.is_closed():
            self._counting = True
            loop.call_soon(self._round)

    def _round(self) -> None:
        self._given, self._counting = 0, False
        self._let_in(min(AT_ONCE, FREELY - self.open))

    def _let_in(self, most: int) -> None:
        while self._waiting and most > 0:
            if self._give(self._waiting.popleft()):
                self._count()
                most -= 1

    def _tick_later(self) -> None:
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        if not self._given:
            self._let_in(1 + len(self._waiting) // TICKS)
        if self._waiting:
            self._tick_later()

    def _give(self, place: asyncio.Future[None]) -> bool:
        """False when it has been given, or nobody waits for it any more."""
        if place.done():
            return False
        self.open += 1
        place.set_result(None)
        return True


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


def turns_here() -> Turns:
    """The turns of the running event loop."""
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        for key in _turns.keyrefs():
            # Reranks that still waited in a loop when it was closed would keep it alive.
            if (other := key()) is not None and other.is_closed():
                _turns.pop(other, None)
        turns = _turns[loop] = Turns(loop)
    return turns
