"""A copy of the working tree in which faults are planted and tests run."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

LEAST, TIMES = 30.0, 5.0
"""A run is given up after as many seconds, or times what it takes without a fault."""
PYTEST = (
    "-m pytest -q -x --no-header --tb no --hypothesis-seed 0 -p no:cacheprovider "
    "-p pytest_asyncio.plugin -p pytest_timeout -p _hypothesis_pytestplugin"
).split()
"""Plugins by name: those of the frameworks take longer to import than most of these tests to run."""
FAILED = re.compile(r"^(?:FAILED|ERROR) (?P<test>.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    by: str
    """The test that noticed the fault, `"time"`, or nothing."""


class Tree:
    """The tracked and new files of `root`, copied to `place`. Raises `RuntimeError` if tests fail there without any
    fault."""

    def __init__(self, root: Path, place: Path) -> None:
        self.place = place
        self._times = place.with_name("seconds.json")
        self._seconds: dict[str, float] = json.loads(self._times.read_text()) if self._times.exists() else {}
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split("\0")
        names = {name for name in listed if name and (root / name).is_file() and not (root / name).is_symlink()}
        for old in place.rglob("*.py"):
            if old.relative_to(place).as_posix() not in names:
                old.unlink()
        for name in names:
            data = (root / name).read_bytes()
            copy = place / name
            if not copy.exists() or copy.read_bytes() != data:
                copy.parent.mkdir(parents=True, exist_ok=True)
                _write(copy, data)

    def digest(self, tests: tuple[str, ...]) -> str:
        """Changes when the files of `tests` do, or what they share."""
        found = hashlib.sha256()
        for place in (*tests, "tests/support", "tests/conftest.py"):
            path = self.place / place.partition("::")[0]
            for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
                found.update(file.read_bytes())
        return found.hexdigest()[:16]

    def tried(self, path: Path, code: str, tests: tuple[str, ...]) -> Outcome:
        """Run `tests` with the file at `path` replaced by `code`, until the first that fails."""
        seconds = self._without_fault(tests)
        file = self.place / path
        before = file.read_bytes()
        try:
            _write(file, code.encode())
            return Outcome(self._run(tests, max(LEAST, TIMES * seconds)))
        finally:
            _write(file, before)

    def _without_fault(self, tests: tuple[str, ...]) -> float:
        """How long `tests` take in this state of the tree, in which they pass."""
        key = f"{self.digest((*tests, 'packages/core/src'))} {' '.join(tests)}"
        if key not in self._seconds:
            start = time.monotonic()
            if by := self._run(tests, 600):
                raise RuntimeError(f"without any fault, {by} fails: mend it first")
            self._seconds[key] = time.monotonic() - start
            self._times.write_text(json.dumps(self._seconds))
        return self._seconds[key]

    def _run(self, tests: tuple[str, ...], timeout: float) -> str:
        sources = os.pathsep.join(str(path) for path in sorted(self.place.glob("packages/*/src")))
        process = subprocess.Popen(
            [sys.executable, *PYTEST, *tests],
            cwd=self.place,
            env={**os.environ, "PYTHONPATH": sources, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return "time"
        if process.returncode == 0:
            return ""
        failed = FAILED.search(said)
        if failed or process.returncode < 0:
            return failed["test"] if failed else f"signal {-process.returncode}"
        if "Error" in said and process.returncode in (1, 2, 3, 4) and "no tests ran" not in said:
            return "import"
        raise RuntimeError(f"pytest ended with {process.returncode}:\n{said[-2000:]}")


def _write(file: Path, data: bytes) -> None:
    """Python knows a file by its size and whole seconds: what it compiled of the one before must go."""
    file.write_bytes(data)
    Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)
