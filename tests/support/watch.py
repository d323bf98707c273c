"""A watchdog for code that must come back, and a look at what a process holds."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from support.places import ROOT

T = TypeVar("T")


class Hung(AssertionError):
    """Something did not come back in time."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` returns or raises, in a thread of its own; `Hung` when it takes longer."""
    came: list[tuple[bool, Any]] = []

    def run() -> None:
        try:
            came.append((True, work()))
        except BaseException as error:
            came.append((False, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not came:
        raise Hung(f"not back within {seconds:g} s")
    good, value = came[0]
    if not good:
        raise value
    return value


class Stopwatch:
    """Seconds since it was made, without those a busy machine takes: `HANDS` times the worst lateness of a bare timer
    that runs beside in the same process. On an idle machine these are a few milliseconds."""

    HANDS = 10
    """A rerank passes through about as many threads, each of which may begin as late as the timer."""

    def __init__(self) -> None:
        self._late = 0.0
        self._done = threading.Event()
        self._started = time.monotonic()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self._done.is_set():
            before = time.monotonic()
            time.sleep(0.01)
            self._late = max(self._late, time.monotonic() - before - 0.01)

    def stop(self) -> float:
        seconds = time.monotonic() - self._started
        self._done.set()
        return max(0.0, seconds - self.HANDS * self._late)


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether `holds` becomes true within `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def descriptors() -> int:
    """Open files and sockets of this process."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def script(code: str, *arguments: object, seconds: float = 60.0) -> str:
    """What a program prints in a process of its own, in which the tests' helpers can be imported. `AssertionError` with
    what it wrote when it fails; `Hung` when it takes longer."""
    path = os.pathsep.join([str(ROOT / "tests"), *filter(None, sys.path)])
    command = [sys.executable, "-c", code, *map(str, arguments)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=Path(ROOT),
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired as late:
        raise Hung(f"not back within {seconds:g} s: {late.stdout!r} {late.stderr!r}") from None
    assert done.returncode == 0, f"exit {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
    return done.stdout
