"""What a cross-encoder thinks of the training queries: soft judgements of passages that nobody judged.

Knowledge distillation for ranking (Hofstätter et al., 2020). The teacher is ms-marco-MiniLM-L-12-v2 (Apache-2.0) as an
ONNX file. It reads some 16,000 pairs, minutes on a CPU; its scores are kept on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.evaluate import Dataset
from tamis.pool.terms import Tokens
from tamis.rankers.learned.match import K1, B
from tamis.text.terms import COMMON, terms
from tamis.values.calls import Classify
from tamis.values.ranking import Candidate

Floats = NDArray[np.float64]

WORDS, STEP = 120, 100
"""A passage is cut into pieces of this many words, a new one every `STEP`: as much as the teacher was trained to
read."""
LENGTH = 16
"""Passages of one list: the best by BM25 over all pieces of the set."""
TEMPERATURE = 1.0


@dataclass(frozen=True)
class Lesson:
    """A query and passages, best by BM25 first; `shares`: how the teacher divides one vote among them. Shape (n,)."""

    query: str
    pool: Sequence[Candidate]
    shares: Floats


class Teacher:
    """A cross-encoder from a folder with `model.onnx` and `tokenizer.json`. What it scored is kept in `cache`."""

    def __init__(self, folder: Path, cache: Path, threads: int = 1) -> None:
        self.folder, self.file, self.threads = folder, cache / "teacher.npz", threads

    def lessons(self, dataset: Dataset) -> list[Lesson]:
        """One for each query of the set that any passage shares a word with."""
        pools = [(q.query.text, pool) for q, pool in _pools(dataset)]
        scores = self.scores([(query, piece.text) for query, pool in pools for piece in pool])
        made, begin = [], 0
        for query, pool in pools:
            mine = scores[begin : begin + len(pool)] / TEMPERATURE
            shares = np.exp(mine - mine.max())
            made.append(Lesson(query, pool, shares / shares.sum()))
            begin += len(pool)
        return made

    def scores(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        """Logits of queries and passages. Shape (pairs,)."""
        keys = [key(query, passage) for query, passage in pairs]
        known = self._known()
        missing = {k: pair for k, pair in zip(keys, pairs, strict=True) if k not in known}
        if missing:
            known |= dict(zip(missing, self._asked(list(missing.values())), strict=True))
            self.file.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(
                self.file,
                keys=np.fromiter(known, np.uint64, len(known)),
                scores=np.fromiter(known.values(), np.float16, len(known)),
            )
        return np.array([known[k] for k in keys])

    def _known(self) -> dict[int, float]:
        if not self.file.exists():
            return {}
        with np.load(self.file) as kept:
            return dict(zip(kept["keys"].tolist(), kept["scores"].astype(float).tolist(), strict=True))

    def _asked(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        from tamis.models import OnnxCrossEncoder

        model = OnnxCrossEncoder(str(self.folder), threads=self.threads)
        scores = model.classify([Classify(model, query, passage) for query, passage in pairs])
        return np.array([score.value for score in scores], dtype=np.float16).astype(float).tolist()


def key(query: str, passage: str) -> int:
    """Of a pair, in the cache."""
    return int.from_bytes(hashlib.sha256(f"{query}\0{passage}".encode()).digest()[:8], "big")


def pieces(text: str) -> list[str]:
    """
    >>> [len(piece.split()) for piece in pieces("word " * 230)]
    [120, 120, 30]
    """
    words = text.split()
    return [" ".join(words[i : i + WORDS]) for i in range(0, max(1, len(words) - (WORDS - STEP)), STEP)] or [text]


def _pools(dataset: Dataset) -> Iterator[tuple[Any, list[Candidate]]]:
    """For each query the best pieces of all passages, BM25 their score; each keeps its passage's title."""
    candidates = [
        Candidate(piece, title=passage.title or None)
        for passage in dataset.corpus.values()
        for piece in pieces(passage.full_text)
    ]
    tokens = Tokens.of([candidate.text for candidate in candidates])
    entries, sizes = tokens.incidence, np.diff(tokens.starts)
    damping = K1 * (1 - B + B * sizes / sizes.mean())
    rarity = np.log1p((tokens.size - entries.spread + 0.5) / (entries.spread + 0.5))
    worth = entries.counts / (entries.counts + damping[entries.rows]) * rarity[entries.cols]
    order = np.argsort(entries.cols, kind="stable")
    ends = np.cumsum(entries.spread)
    for question in dataset.questions.values():
        asked = terms(question.query.text)
        scores = np.zeros(tokens.size)
        for number in tokens.numbers([term for term in asked if term not in COMMON] or asked).tolist():
            own = order[ends[number] - entries.spread[number] : ends[number]]
            scores[entries.rows[own]] += worth[own]
        best = np.argsort(-scores.round(4), kind="stable")[:LENGTH]
        if scores[best[0]] > 0:
            yield question, [replace(candidates[i], score=float(scores[i])) for i in best.tolist()]
