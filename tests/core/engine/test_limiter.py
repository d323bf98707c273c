"""Every place that is given back lets one in, and only one."""

from __future__ import annotations

import asyncio

import pytest

from tamis.engine.limiter import Lease, Limiter


def taken(limiter: Limiter, slots: int) -> list[Lease]:
    """As many leases as fit at once."""
    leases: list[Lease] = []
    while (lease := limiter.acquire(slots, timeout=0)) is not None:
        leases.append(lease)
    return leases


@pytest.mark.parametrize("slots", [1, 2, 3, 7])
def test_as_many_hold_as_there_are_slots(slots: int) -> None:
    assert len(taken(Limiter(), slots)) == slots


@pytest.mark.parametrize("back", [0, 1, 2, 5])
def test_as_many_fit_again_as_were_given_back(back: int) -> None:
    limiter = Limiter()
    held = taken(limiter, 5)
    for lease in held[:back]:
        lease.release()
        lease.release()
    assert len(taken(limiter, 5)) == back


async def test_one_given_back_admits_one_of_those_that_wait() -> None:
    limiter = Limiter()
    held = taken(limiter, 3)
    waiting = [asyncio.ensure_future(limiter.aacquire(3)) for _ in range(3)]
    for admitted, lease in enumerate(held):
        assert sum(task.done() for task in waiting) == admitted
        lease.release()
        while not waiting[admitted].done():
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
    for task in waiting:
        (await task).release()
    assert not limiter.in_use


async def test_a_cancelled_waiter_gives_back_what_it_was_given_and_no_more() -> None:
    limiter = Limiter()
    held = taken(limiter, 2)
    admitted = asyncio.ensure_future(limiter.aacquire(2))
    await asyncio.sleep(0)
    held[0].release()
    admitted.cancel()
    with pytest.raises(asyncio.CancelledError):
        await admitted
    assert len(taken(limiter, 2)) == 1


def test_it_is_in_use_while_somebody_holds_it() -> None:
    limiter = Limiter()
    assert not limiter.in_use
    lease = limiter.acquire(1)
    assert lease is not None
    assert limiter.in_use
    lease.release()
    assert not limiter.in_use
