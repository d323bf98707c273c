"""Every place that is given back lets one in, and only one."""

from __future__ import annotations

import asyncio

import pytest

from tamis.engine.jams import JAMS, stuck
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


def test_one_that_waits_in_vain_for_a_while_keeps_its_turn() -> None:
    limiter = Limiter()
    first = limiter.acquire(1)
    second, third = Lease(limiter, 1), Lease(limiter, 1)
    assert not second.acquire(0)
    assert not third.acquire(0)
    assert not second.acquire(0)
    assert first is not None
    first.release()
    assert second.acquire(0)
    assert not third.acquire(0)


def test_one_given_back_before_it_is_admitted_never_holds() -> None:
    limiter = Limiter()
    held, waiting = limiter.acquire(1), Lease(limiter, 1)
    assert not waiting.acquire(0)
    waiting.release()
    assert held is not None
    held.release()
    assert not waiting.acquire(0)
    assert not limiter.in_use


def ring(models: int) -> list[Lease]:
    """Each of several models of one slot is held by a call inside of which the next one is waited for."""
    held = [limiter.acquire(1) for limiter in [Limiter() for _ in range(models)]]
    leases = [lease for lease in held if lease is not None]
    waiting = []
    for lease, after in zip(leases, [*leases[1:], leases[0]], strict=True):
        waiting.append(Lease(after.limiter, 1, (lease,)))
        lease.waiting_inside.add(waiting[-1])
        after.limiter.line_up(waiting[-1])
    return waiting


@pytest.mark.parametrize("models", [2, 3, 5])
def test_of_models_that_wait_for_each_other_in_a_ring_one_is_let_through(models: int) -> None:
    waiting = ring(models)
    assert all(stuck(lease) for lease in waiting)
    JAMS.open(waiting[0])
    JAMS.open(waiting[1])
    assert [lease.holds for lease in waiting] == [True] + [False] * (models - 1)


def test_a_ring_with_one_free_holder_is_left_alone() -> None:
    waiting = ring(3)
    free = Lease(waiting[0].limiter, 2)
    free.limiter.let_through(free)
    assert not any(stuck(lease) for lease in waiting)
    free.release()
    assert all(stuck(lease) for lease in waiting)
    waiting[1].release()
    assert not any(stuck(lease) for lease in waiting)
