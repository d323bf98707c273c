"""A token of cancellation wakes all that subscribed, and none before."""

from __future__ import annotations

import asyncio

from tamis.engine.cancel import Cancellation


def test_it_wakes_those_that_subscribed_before_when_it_is_cancelled() -> None:
    woken: list[str] = []
    token = Cancellation()
    token.subscribe(lambda: woken.append("one"))
    gone = token.subscribe(lambda: woken.append("gone"))
    gone()
    assert woken == []
    assert not token.cancelled
    token.cancel()
    assert woken == ["one"]
    assert token.cancelled


def test_it_wakes_those_that_subscribe_later_at_once() -> None:
    woken: list[str] = []
    token = Cancellation()
    token.cancel()
    token.subscribe(lambda: woken.append("late"))
    assert woken == ["late"]


async def test_in_a_loop_it_wakes_in_that_loop() -> None:
    token, woken = Cancellation(), asyncio.Event()
    token.subscribe_in_loop(woken.set)
    assert not woken.is_set()
    await asyncio.to_thread(token.cancel)
    await asyncio.wait_for(woken.wait(), 10)
