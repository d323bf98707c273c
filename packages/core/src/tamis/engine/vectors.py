"""What a model makes of a passage, kept for every query to come: vectors, token vectors, compressed tokens.

The expensive half of a bi-encoder or of late interaction does not depend on the query, so it is worth keeping longer
and in greater number than an ordinary answer, and as numbers rather than text. Failures and queries are not kept.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

ALIGNED = 64
"""Arrays start at multiples of this many bytes, so that they can be read where they lie."""
MEMORY = 256 * 2**20
"""Bytes of arrays that `MemoryVectors` holds unless told otherwise."""


class VectorCache(Protocol):
    """Where arrays are kept, by a model's `cache_key` and the 16-byte digest of what it was asked.

    An array comes back with the numbers, type and shape it was put with, and is not to be written to. Safe to share
    between threads. Optional attribute `outlives_process`, as for `Cache`.
    """

    def get(self, model: str, key: bytes) -> NDArray[Any] | None: ...
    def put(self, model: str, arrays: Mapping[bytes, NDArray[Any]]) -> None: ...


class MemoryVectors:
    """The most recently used arrays, `max_bytes` of them.

    >>> kept = MemoryVectors(max_bytes=1000)
    >>> kept.put("a model", {b"a passage": np.ones((3, 4), np.float32)})
    >>> kept.get("a model", b"a passage").shape
    (3, 4)
    """

    outlives_process = False

    def __init__(self, max_bytes: int = MEMORY) -> None:
        from cachetools import LRUCache

        self.max_bytes = max_bytes
        self._arrays: MutableMapping[tuple[str, bytes], NDArray[Any]] = LRUCache(max_bytes, lambda array: array.nbytes)
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy starts empty."""
        return type(self), (self.max_bytes,)

    def get(self, model: str, key: bytes) -> NDArray[Any] | None:
        with self._lock:
            return self._arrays.get((model, key))

    def put(self, model: str, arrays: Mapping[bytes, NDArray[Any]]) -> None:
        with self._lock:
            for key, array in arrays.items():
                if array.nbytes <= self.max_bytes:
                    self._arrays[model, key] = array


class DiskVectors:
    """Arrays in a folder: for each model one file of numbers, mapped into memory, and one index for all.

    Any number of threads and processes may read and write at once. Numbers are written before the index says where they
    are, so that a process that dies half way leaves only bytes nobody refers to; a checksum finds numbers that a
    machine lost when it stopped, and they are made again. `cache_key`s must tell models and their versions apart.

    Deleting the folder is safe while nobody uses it.
    """

    outlives_process = True

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._maps: dict[str, mmap.mmap] = {}
        self._index = sqlite3.connect(
            self.folder / "index.sqlite", check_same_thread=False, timeout=60.0, isolation_level=None
        )
        self._index.execute("PRAGMA journal_mode=WAL")
        self._index.execute("PRAGMA synchronous=NORMAL")
        self._index.execute(
            "CREATE TABLE IF NOT EXISTS arrays (model TEXT, key BLOB, start INTEGER, type TEXT, shape TEXT, "
            "sum INTEGER, PRIMARY KEY (model, key)) WITHOUT ROWID"
        )
        self._index.execute("CREATE TABLE IF NOT EXISTS models (file TEXT PRIMARY KEY, model TEXT)")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.folder,)

    def get(self, model: str, key: bytes) -> NDArray[Any] | None:
        file = _file(model)
        with self._lock:
            row = self._index.execute(
                "SELECT start, type, shape, sum FROM arrays WHERE model = ? AND key = ?", (file, key)
            ).fetchone()
            if row is None:
                return None
            start, kind, shape, checksum = row
            dtype, sizes = np.dtype(kind), tuple(map(int, shape.split(",")))
            numbers = self._bytes(file, start, dtype.itemsize * int(np.prod(sizes)))
        if numbers is None or zlib.crc32(numbers) != checksum:
            return None
        return np.frombuffer(numbers, dtype).reshape(sizes)

    def put(self, model: str, arrays: Mapping[bytes, NDArray[Any]]) -> None:
        """One transaction, which is also what keeps two writers from appending to a file at the same time."""
        file = _file(model)
        with self._lock, self._writing(), (self.folder / file).open("ab") as numbers:
            self._index.execute("INSERT OR IGNORE INTO models VALUES (?, ?)", (file, model))
            rows = []
            for key, array in arrays.items():
                array = np.ascontiguousarray(array)
                numbers.write(bytes(-numbers.seek(0, os.SEEK_END) % ALIGNED))
                start, content = numbers.tell(), array.tobytes()
                numbers.write(content)
                shape = ",".join(map(str, array.shape))
                rows.append((file, key, start, array.dtype.str, shape, zlib.crc32(content)))
            numbers.flush()
            self._index.executemany("INSERT OR REPLACE INTO arrays VALUES (?, ?, ?, ?, ?, ?)", rows)

    def __len__(self) -> int:
        with self._lock:
            return int(self._index.execute("SELECT COUNT(*) FROM arrays").fetchone()[0])

    def close(self) -> None:
        self._index.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._index.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._index.execute("ROLLBACK")
            raise
        self._index.execute("COMMIT")

    def _bytes(self, file: str, start: int, length: int) -> memoryview | None:
        """A part of a model's file where it lies; `None` where the file is gone or ends before it."""
        held = self._maps.get(file)
        if held is None or start + length > len(held):
            try:
                with (self.folder / file).open("rb") as numbers:
                    held = self._maps[file] = mmap.mmap(numbers.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError):
                return None
        return memoryview(held)[start : start + length] if start + length <= len(held) else None


def _file(model: str) -> str:
    return hashlib.blake2b(model.encode(), digest_size=16).hexdigest() + ".numbers"
