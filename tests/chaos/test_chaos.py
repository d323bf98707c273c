"""Models, caches and callbacks that fail at random, through every driver: nothing is lost, nothing is raised, nothing
hangs, deadline and budget hold, and in the end the process holds what it held before."""

from __future__ import annotations

import logging
import random
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chaos import DRIVERS, FAULTS, STAGES, Case, checked
from support.examples import examples
from support.watch import descriptors, eventually

LATE = 3.0
"""Seconds after its deadline in which a busy machine is back."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    deadline = draw(st.sampled_from([None, None, 0.05, 0.2, 0.5]))
    cancel = draw(st.sampled_from([None, None, None, 0.0, 0.05]))
    faults = draw(st.lists(st.sampled_from(FAULTS), min_size=1, max_size=8))
    if deadline is None and cancel is None:
        faults = [fault for fault in faults if fault != "hang"] or ["no"]
    return Case(
        seed=draw(st.integers(0, 2**31)),
        stage=draw(st.sampled_from(list(STAGES))),
        driver=draw(st.sampled_from(DRIVERS)),
        faults=tuple(faults),
        deadline=deadline,
        max_calls=draw(st.sampled_from([None, None, 0, 1, 5, 20])),
        max_tokens=draw(st.sampled_from([None, None, 100, 3000])),
        cancel=cancel,
        batch=draw(st.integers(1, 5)),
        slots=draw(st.integers(1, 4)),
        cached=draw(st.booleans()),
        asynchronous=draw(st.booleans()),
        queries=draw(st.integers(1, 4)),
        retries=draw(st.integers(0, 2)),
        listener=draw(st.booleans()),
    )


def holds(case: Case) -> None:
    seen = checked(case)
    assert seen.late < LATE
    assert seen.over == 0


@pytest.fixture(autouse=True)
def quiet() -> Any:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(4 * 3600)
@examples(300, soak=30_000)
@given(case=cases())
def test_chaos_loses_nothing_raises_nothing_hangs_nowhere_and_keeps_its_limits(case: Case) -> None:
    holds(case)


@pytest.mark.timeout(600)
def test_after_chaos_the_process_holds_what_it_held_before() -> None:
    dice = random.Random(7)

    def once(turn: int) -> None:
        holds(
            Case(
                seed=turn,
                stage=dice.choice(list(STAGES)),
                driver=DRIVERS[turn % len(DRIVERS)],
                faults=FAULTS,
                deadline=0.1,
                max_calls=None,
                max_tokens=None,
                cancel=None,
                batch=2,
                slots=2,
                cached=True,
                asynchronous=bool(turn % 3),
                queries=3,
                retries=1,
                listener=True,
            )
        )

    def threads() -> int:
        return sum(thread.name.startswith("tamis") for thread in threading.enumerate())

    for turn in range(12):
        once(turn)
    files, most = descriptors(), threads()
    for turn in range(12, 60):
        once(turn)
    assert eventually(lambda: descriptors() <= files + 2)
    assert eventually(lambda: threads() <= most + 12), "threads are used again"
