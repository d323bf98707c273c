"""An interrupt between any two lines on the way to a model and back costs no place in its limit."""

from __future__ import annotations

import linecache
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any

import pytest

from support.watch import within
from tamis import CrossEncoder, Engine
from tamis.engine import asker, limiter
from tamis.engine.limits import limits_of
from tamis.values.answers import Score

FILES = (asker.__file__, limiter.__file__)


class Model:
    name, max_concurrency = "model", 1

    def classify(self, calls: Sequence[Any]) -> list[Any]:
        return [Score(0.5)] * len(calls)


class Interrupt:
    """Raises `KeyboardInterrupt` at line number `at` of those that this thread runs in `FILES`."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.lines = at, 0

    def __enter__(self) -> Interrupt:
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename in FILES else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line" and not _leaves_a_lock(frame):
            self.lines += 1
            if self.lines == self.at:
                raise KeyboardInterrupt
        return self._line


def _leaves_a_lock(frame: FrameType) -> bool:
    """Whether the line is the end of a `with lock`, where Python looks for signals only after the lock is free."""
    text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return text == "with self._lock:" and frame.f_locals["self"]._lock.locked()


def rerank(model: Model, deadline: float | None = None) -> Any:
    return Engine(cache=None, deadline=deadline).rerank(CrossEncoder(model), "q", ["a", "b"])


@pytest.mark.parametrize("deadline", [None, 30.0], ids=["no deadline", "deadline"])
@pytest.mark.parametrize("busy", [False, True], ids=["free", "busy"])
def test_an_interrupt_at_any_line_costs_no_place(
    busy: bool, deadline: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert threading.current_thread() is threading.main_thread()
    others: list[Any] = []
    waits = limiter.wait

    def wait(*arguments: Any) -> Any:
        for lease in others:
            lease.release()
        return waits(*arguments)

    monkeypatch.setattr(limiter, "wait", wait)

    def once(at: int | None) -> tuple[Model, int, bool]:
        model = Model()
        others[:] = [limits_of(model).limiter.acquire(1)] if busy else []
        with Interrupt(at) as interrupt:
            try:
                rerank(model, deadline)
            except KeyboardInterrupt:
                return model, interrupt.lines, True
        return model, interrupt.lines, False

    lines = once(None)[1]
    assert lines > (3 if deadline else 50)
    for at in range(1, lines + 1):
        model, _, interrupted = once(at)
        assert interrupted
        for lease in others:
            lease.release()
        assert not within(10, lambda model=model: rerank(model)).degraded, at  # type: ignore[misc]
        assert limits_of(model).limiter._held == 0
