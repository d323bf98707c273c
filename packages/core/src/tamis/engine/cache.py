"""Remembering answers, in memory or on disk. Failures are never remembered."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import MutableMapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from tamis.engine.sqlite import BUSY_SECONDS, SqliteFile
from tamis.processes import renewed_in_child
from tamis.values.answers import Answer
from tamis.values.calls import CALLS, Call

OBJECT_ONLY = "object:"
"""Start of a `cache_key` that identifies one live object. Nobody can ask for its answers after the process has ended,
so they go only to caches that end with it."""


class Cache(Protocol):
    """Where answers are kept, by 16-byte digest of the call.

    Its methods are called from threads of the engine's own, several at a time. What they raise is a miss. One that does
    not return within a second, or many that take a second together, are too: the cache is then left alone for a while.

    Optional attribute `outlives_process`: whether another process can read the answers later. A cache that does not
    have it is taken to: it never receives the answers of a model whose `cache_key` starts with `object:`.
    """

    def get(self, key: bytes) -> Answer | None: ...
    def put(self, key: bytes, answer: Answer) -> None: ...


def outlives_process(cache: Any) -> bool:
    """Whether `cache` (of answers or of passages) may still be read when this process has ended."""
    return cache is not None and getattr(cache, "outlives_process", True)


def cache_key(call: Call) -> bytes | None:
    """Digest of the model and of everything asked, or `None` for a model that declares no `cache_key`."""
    model = getattr(call.model, "cache_key", None)
    if not model:
        return None
    kind: Any = type(call)
    asked = tuple([_whole(getattr(call, name)) for name in _keyed(kind)])
    asked += tuple([(name, value) for name, usual in _later(kind) if (value := getattr(call, name)) != usual])
    return hashlib.blake2b(repr((model, call.capability, asked)).encode(), digest_size=16).digest()


@cache
def _keyed(kind: Any) -> tuple[str, ...]:
    """The fields of a kind of call that change its answer."""
    return tuple(f.name for f in fields(kind) if f.compare and f.name not in kind.unkeyed | kind.later)


@cache
def _later(kind: Any) -> tuple[tuple[str, Any], ...]:
    """The fields that the first version did not have, with their defaults."""
    return tuple((f.name, f.default) for f in fields(kind) if f.name in kind.later)


def _whole(value: Any) -> Any:
    """`value`, or of an array its type, shape and a digest of its numbers, which its `repr` leaves out."""
    if not hasattr(value, "tobytes"):
        return value
    return str(value.dtype), value.shape, hashlib.blake2b(value.tobytes(), digest_size=16).digest()


class MemoryCache:
    """The `size` most recently used answers. Safe to share between threads."""

    outlives_process = False

    def __init__(self, size: int = 10_000) -> None:
        self.size = size
        self._begin()
        renewed_in_child(self, MemoryCache._begin)

    def _begin(self) -> None:
        from cachetools import LRUCache

        self._answers: MutableMapping[bytes, Answer] = LRUCache(self.size)
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Answer | None:
        with self._lock:
            return self._answers.get(key)

    def put(self, key: bytes, answer: Answer) -> None:
        with self._lock:
            self._answers[key] = answer


SCHEMA = ("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT) WITHOUT ROWID",)


class DiskCache:
    """Answers in one SQLite file, as JSON (never pickled), shared between processes.

    `cache_key`s must be different for different models and versions: an answer on disk outlives the process that got
    it. `wait`: seconds an operation waits for other threads and processes; then it raises, which an engine takes for a
    miss.
    """

    outlives_process = True

    def __init__(self, path: str | Path, *, wait: float = BUSY_SECONDS) -> None:
        self._file = SqliteFile(path, SCHEMA, wait)

    def get(self, key: bytes) -> Answer | None:
        with self._file.connected() as connection:
            row = connection.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else _decode(row[0])

    def put(self, key: bytes, answer: Answer) -> None:
        with self._file.connected() as connection:
            connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, _encode(answer)))

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._file.close()


ANSWERS: dict[str, Any] = {call.answer.__name__: call.answer for call in CALLS if call.answer.stored}


def _encode(answer: Answer) -> str:
    state = {f.name: getattr(answer, f.name) for f in fields(answer)}
    return json.dumps([type(answer).__name__, state])


def _decode(text: Any) -> Answer | None:
    """The answer in a row, `None` for one that cannot be read or has a field that this version does not know: what
    that changes is unknown, too. One of another version that holds `null` says nothing and is left out."""
    try:
        name, state = json.loads(text)
        if isinstance(state.get("values"), list):
            state["values"] = tuple(state["values"])
        known = {f.name for f in fields(ANSWERS[name])}
        state = {name: value for name, value in state.items() if name in known or value is not None}
        answer: Answer = ANSWERS[name](**state).checked()
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    return answer
