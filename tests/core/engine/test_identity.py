"""One value per live object, and how long those are held that take no weak reference."""

from __future__ import annotations

import gc

from tamis.engine.identity import KEPT_SECONDS, ByIdentity


class Slotted:
    __slots__ = ()


class Plain:
    pass


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_an_object_has_one_value_and_another_has_another() -> None:
    table = ByIdentity(list[int])
    one, other, slotted = Plain(), Plain(), Slotted()
    assert table.of(one) is table.of(one)
    assert table.of(slotted) is table.of(slotted)
    assert len({id(table.of(held)) for held in (one, other, slotted)}) == 3


def test_a_value_goes_with_its_object() -> None:
    table = ByIdentity(list[int])
    held = Plain()
    table.of(held)
    del held
    gc.collect()
    assert len(table) == 0


def test_what_takes_no_weak_reference_goes_when_idle_for_longer_than_that() -> None:
    clock = Clock()
    table = ByIdentity(list[int], now=clock)
    first, second, third = Slotted(), Slotted(), Slotted()
    table.of(first)
    clock.seconds = KEPT_SECONDS
    table.of(second)
    assert len(table) == 2
    clock.seconds = KEPT_SECONDS + 1
    table.of(third)
    assert len(table) == 2, "the first is idle for too long, the second is not"


def test_asking_again_begins_the_time_anew() -> None:
    clock = Clock()
    table = ByIdentity(list[int], now=clock)
    first, second = Slotted(), Slotted()
    value = table.of(first)
    clock.seconds = KEPT_SECONDS
    assert table.of(first) is value
    clock.seconds = 2 * KEPT_SECONDS
    table.of(second)
    assert table.of(first) is value


def test_what_is_in_use_stays() -> None:
    clock = Clock()
    table = ByIdentity(list[int], in_use=lambda value: value == [1], now=clock)
    used, unused, later = Slotted(), Slotted(), Slotted()
    value = table.of(used)
    value.append(1)
    table.of(unused)
    clock.seconds = 10 * KEPT_SECONDS
    table.of(later)
    assert len(table) == 2
    assert table.of(used) is value
