"""What an engine remembers: answers by what was asked, and what models made of passages.

Token vectors of queries and scores with a compressed passage are remembered by neither: they are large, and rarely
asked for twice. Nor are answers that do not say what was asked for: the model may answer well the next time.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite, isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.engine.answers import sound
from tamis.engine.cache import OBJECT_ONLY, Cache, DiskCache, MemoryCache, cache_key, outlives_process
from tamis.engine.guarded import Guarded
from tamis.engine.identity import ByIdentity
from tamis.engine.traits import read
from tamis.engine.vectors import DiskVectors, MemoryVectors, VectorCache
from tamis.values.answers import Answer, Score, TokenVectors, Vector
from tamis.values.calls import Call

OURS = (MemoryCache, DiskCache, MemoryVectors, DiskVectors)
"""Caches that wait for nothing, or for a moment."""
LIVE_ANSWERS = 10_000
LIVE_BYTES = 64 * 2**20
"""Kept of one live object."""
READ = "answers that it may hold are asked for again"
KEPT = "answers are not kept and are asked for again next time"


class Memory:
    """A cache of answers with a cache of passages beside it; either may be missing.

    What a model with an `object:` key answered is kept in memory as long as that model lives: nobody else can ask for
    it.

    `vectors`: whether single vectors of passages, which both can hold, go to the cache of passages.
    """

    def __init__(self, answers: Cache | None = None, passages: VectorCache | None = None, *, vectors: bool = True):
        self._answers = None if answers is None else Guarded(answers, here=type(answers) in OURS)
        self._passages = None if passages is None else Guarded(passages, here=type(passages) in OURS)
        self._live = ByIdentity(_Live)
        self._apart = _goes_apart(answers, MemoryCache), _goes_apart(passages, MemoryVectors)
        self._vectors = vectors

    def key(self, call: Call) -> bytes | None:
        """Digest of the call, `None` where its answer is not to be remembered."""
        return None if self._answers is None and self._passages is None else cache_key(call)

    def get(self, call: Call, key: bytes) -> Answer | None:
        if self._passages is not None and self._is_passage(call):
            passages = self._passages_of(call.model) or self._passages
            array = passages.call("get", call.model.cache_key, key, lost=READ)
            return _sound(call, as_answer(call, array)) if isinstance(array, np.ndarray) else None
        answers = self._answers_of(call.model) if call.answer.stored else None
        kept = None if answers is None else answers.call("get", key, lost=READ)
        return None if kept is None else _sound(call, kept)

    def put(self, answered: Iterable[tuple[Call, bytes, Answer]]) -> None:
        """Calls of one model with their keys and answers."""
        arrays: dict[bytes, NDArray[Any]] = {}
        answers = owner = None
        for call, key, answer in answered:
            if not _says_something(call, answer):
                continue
            if owner is not call.model:
                answers, owner = self._answers_of(call.model), call.model
            if self._passages is not None and self._is_passage(call):
                arrays[key] = as_array(answer)
            elif answers is not None and answer.stored and not _compressed(answer):
                answers.call("put", key, answer, lost=KEPT)
        passages = self._passages_of(owner) if arrays else None
        if passages is not None:
            passages.call("put", read(owner, "cache_key"), arrays, lost=KEPT)

    def _answers_of(self, model: Any) -> Guarded | None:
        return self._live.of(model).answers if self._apart[0] and _is_live(model) else self._answers

    def _passages_of(self, model: Any) -> Guarded | None:
        return self._live.of(model).passages if self._apart[1] and _is_live(model) else self._passages

    def _is_passage(self, call: Call) -> bool:
        return call.of_passage and (self._vectors or not call.answer.stored)


def _sound(call: Call, kept: Any) -> Answer | None:
    """What a cache gave, when it is an answer to such a call."""
    if not isinstance(kept, call.answer):
        return None
    checked = sound(call, kept)
    return checked if isinstance(checked, Answer) and _says_something(call, checked) else None


def _says_something(call: Call, answer: Answer) -> bool:
    """Whether the answer is of use to those who asked. What was kept by a version that read more loosely is not."""
    try:
        if isinstance(answer, Score) and isnan(answer.value):
            return False
        if isinstance(answer, Vector) and not isfinite(sum(answer.values)):
            return False
        if isinstance(answer, TokenVectors) and not (len(answer.values) and isfinite(answer.values.sum())):
            return False
        return call.usable is None or call.usable(answer)
    except Exception:
        return False


def _goes_apart(cache: Any, ours: type) -> bool:
    """Whether answers of live objects are kept beside `cache`: not in one that outlives the process, nor in ours in
    memory, whose places they would fill after the object has gone. A caller's own cache may ask for them."""
    return cache is not None and (isinstance(cache, ours) or outlives_process(cache))


class _Live:
    """What one live object answered."""

    def __init__(self) -> None:
        self.answers = Guarded(MemoryCache(LIVE_ANSWERS), here=True)
        self.passages = Guarded(MemoryVectors(LIVE_BYTES), here=True)


def _is_live(model: Any) -> bool:
    key = read(model, "cache_key")
    return isinstance(key, str) and key.startswith(OBJECT_ONLY)


def _compressed(answer: Answer) -> bool:
    return isinstance(answer, Score) and answer.compressed is not None


def as_array(answer: Any) -> NDArray[Any]:
    """The numbers of an answer: in 4 bytes each where they fit, so that what comes back is what was put."""
    if isinstance(answer, TokenVectors):
        return np.asarray(answer.values)
    exact = np.asarray(answer.values, dtype=np.float64)
    with np.errstate(over="ignore"):
        short = exact.astype(np.float32)
    return short if np.array_equal(short, exact, equal_nan=True) else exact


def as_answer(call: Call, array: NDArray[Any]) -> Answer:
    """The answer whose numbers are `array`; of no use when it has another shape."""
    kind: Any = call.answer
    answer: Answer = kind(array if kind is TokenVectors else tuple(np.atleast_1d(array).tolist()))
    return answer
