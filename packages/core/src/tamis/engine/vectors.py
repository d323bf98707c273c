"""What a model makes of a passage, kept for every query to come: vectors, token vectors, compressed tokens.

The expensive half of a bi-encoder or of late interaction does not depend on the query, so it is worth keeping longer
and in greater number than an ordinary answer, and as numbers rather than text. Failures and queries are not kept.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import threading
import zlib
from collections.abc import Mapping, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tamis.engine.sqlite import BUSY_SECONDS, SqliteFile
from tamis.processes import renewed_in_child

LARGEST = 2**30
"""Bytes of one array that are read at most; an index that asks for more is damaged."""
NUMBERS = re.compile(r"[<>|=]?[fiu][1-8]")
"""Types that an index may name: numpy reads other texts as a grammar of its own."""
MEMORY = 256 * 2**20
"""Bytes of arrays that `MemoryVectors` holds by default."""


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
        self.max_bytes = max_bytes
        self._begin()
        renewed_in_child(self, MemoryVectors._begin)

    def _begin(self) -> None:
        from cachetools import LRUCache

        self._arrays: MutableMapping[tuple[str, bytes], NDArray[Any]] = LRUCache(
            self.max_bytes, lambda array: array.nbytes
        )
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


SCHEMA = (
    "CREATE TABLE IF NOT EXISTS arrays (model TEXT, key BLOB, start INTEGER, type TEXT, shape TEXT, sum INTEGER, "
    "PRIMARY KEY (model, key)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS models (file TEXT PRIMARY KEY, model TEXT)",
)


class DiskVectors:
    """Arrays in a folder: one file of numbers per model, and one index for all.

    Any number of threads and processes may read and write at once. Numbers are written before the index says where they
    are, so that a process that dies half way leaves only bytes that nothing refers to; a checksum finds numbers that
    were lost or changed, and they are made again. `cache_key`s must be different for different models and versions.

    `wait`: seconds an operation waits for other threads and processes; then it raises, which an engine takes for a
    miss. Deleting the folder is safe while nobody uses it.
    """

    outlives_process = True

    def __init__(self, folder: str | Path, *, wait: float = BUSY_SECONDS) -> None:
        self.folder = Path(folder)
        self._index = SqliteFile(self.folder / "index.sqlite", SCHEMA, wait)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), wait=self._index.wait), (self.folder,)

    def get(self, model: str, key: bytes) -> NDArray[Any] | None:
        file = _file(model)
        with self._index.connected() as index:
            row = index.execute(
                "SELECT start, type, shape, sum FROM arrays WHERE model = ? AND key = ?", (file, key)
            ).fetchone()
        return None if row is None else self._array(file, *row)

    def _array(self, file: str, start: Any, kind: Any, shape: Any, checksum: Any) -> NDArray[Any] | None:
        """The array an index row refers to; `None` where row and numbers do not fit each other.

        The numbers are copied: a file mapped into memory ends the process when another one cuts it.
        """
        try:
            if not NUMBERS.fullmatch(kind):
                return None
            dtype, sizes = np.dtype(kind), tuple(map(int, str(shape).split(",")))
            length = dtype.itemsize * math.prod(sizes)
            if min(sizes) < 0 or length > LARGEST:
                return None
            with (self.folder / file).open("rb") as numbers:
                numbers.seek(start)
                content = numbers.read(length)
        except (OSError, TypeError, ValueError, OverflowError):
            return None
        if len(content) != length or zlib.crc32(content) != checksum:
            return None
        return np.frombuffer(content, dtype).reshape(sizes)

    def put(self, model: str, arrays: Mapping[bytes, NDArray[Any]]) -> None:
        """One transaction, which is also what keeps two writers from appending to a file at the same time."""
        file = _file(model)
        with self._index.writing() as index, (self.folder / file).open("ab") as numbers:
            index.execute("INSERT OR IGNORE INTO models VALUES (?, ?)", (file, model))
            rows = []
            for key, array in arrays.items():
                array = np.ascontiguousarray(array)
                start, content = numbers.seek(0, os.SEEK_END), array.tobytes()
                numbers.write(content)
                shape = ",".join(map(str, array.shape))
                rows.append((file, key, start, array.dtype.str, shape, zlib.crc32(content)))
            numbers.flush()
            index.executemany("INSERT OR REPLACE INTO arrays VALUES (?, ?, ?, ?, ?, ?)", rows)

    def __len__(self) -> int:
        with self._index.connected() as index:
            return int(index.execute("SELECT COUNT(*) FROM arrays").fetchone()[0])

    def close(self) -> None:
        self._index.close()


def _file(model: str) -> str:
    return hashlib.blake2b(model.encode(), digest_size=16).hexdigest() + ".numbers"
