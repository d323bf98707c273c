"""One SQLite file that threads and processes share: opened at first use, anew in each process, with bounded waits."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tamis.processes import paused_for_fork, renewed_in_child

BUSY_SECONDS = 0.25
"""How long an operation waits for other threads, and again for other processes, by default."""

_left_to_the_parent: list[sqlite3.Connection | None] = []
"""Connections a forked child found: SQLite forbids to use or close them there."""


class SqliteFile:
    """A file with the tables that `schema` creates. Raises what sqlite3 raises, and `TimeoutError`.

    `wait`: seconds an operation waits for other threads, and again for other processes.
    """

    def __init__(self, path: str | Path, schema: tuple[str, ...], wait: float = BUSY_SECONDS) -> None:
        self.path = Path(path)
        self.wait = wait
        self._schema = schema
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()
        self._using = 0
        self._paused = False
        paused_for_fork(self, SqliteFile._pause, SqliteFile._resume)
        renewed_in_child(self, SqliteFile._renew)

    def _pause(self) -> None:
        """Close the file. SQLite keeps a list of the locks its process holds on a file: a child that is forked with one
        takes the file for locked for ever."""
        self._paused = self._lock.acquire(timeout=2 * self.wait)
        if self._paused and not self._using and self._connection is not None:
            self._connection.close()
            self._connection = None

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._lock.release()

    def _renew(self) -> None:
        _left_to_the_parent.append(self._connection)
        self._connection = None
        self._lock = threading.RLock()
        self._using, self._paused = 0, False

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone."""
        lock = self._lock
        if not lock.acquire(timeout=self.wait):
            raise TimeoutError(f"{self.path} was busy for {self.wait:g} s")
        try:
            if self._connection is None:
                self._connection = self._opened()
            self._using += 1
            try:
                yield self._connection
            finally:
                self._using -= 1
        finally:
            lock.release()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """As `connected`, in one transaction that excludes other writers."""
        with self.connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, check_same_thread=False, timeout=self.wait, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            for statement in self._schema:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        with self.connected() as connection:
            connection.close()
            self._connection = None
