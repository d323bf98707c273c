"""Any failure of a cache is a miss and one warning, never an exception and never a long wait."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.watch import script, within
from tamis import Engine, LateInteraction, Listwise
from tamis.engine.cache import DiskCache
from tamis.engine.guarded import PAUSE, Guarded
from tamis.engine.vectors import DiskVectors
from tamis.values.answers import Generated, TokenVectors
from tamis.values.ranking import Ranking

TEXTS = ["a", "b", "c"]
ORDER = Generated("[3] > [2] > [1]")
BOUND = 3.0
"""Seconds within which an instant model's rerank is back, whatever the cache does, on a busy machine."""


class Chat:
    name, cache_key, max_concurrency = "chat", "chat:1", 4

    def __init__(self) -> None:
        self.asked = 0

    def generate(self, calls: Sequence[Any]) -> list[Any]:
        self.asked += len(calls)
        return [ORDER] * len(calls)


class Tokens:
    name, cache_key, max_batch, max_concurrency = "tokens", "tokens:1", 16, 2

    def __init__(self) -> None:
        self.asked = 0

    def embed_tokens(self, calls: Sequence[Any]) -> list[Any]:
        self.asked += len(calls)
        return [TokenVectors(numbers(call.text)) for call in calls]


def numbers(text: str) -> Any:
    """Rows of length 1 that only `text` has."""
    rows = np.random.default_rng(sum(map(ord, text))).random((3, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def answered(cache: Any, query: str = "q", model: Chat | None = None, **options: Any) -> Ranking:
    started = time.monotonic()
    ranking = within(20, lambda: Engine(cache=cache, **options).rerank(Listwise(model or Chat()), query, TEXTS))
    assert time.monotonic() - started < BOUND
    assert not ranking.degraded
    assert ranking.positions == (2, 1, 0)
    return ranking


def scored(folder: Any, query: str = "q", **options: Any) -> Ranking:
    started = time.monotonic()
    stage = LateInteraction(Tokens())
    ranking = within(20, lambda: Engine(cache=None, vectors=folder, **options).rerank(stage, query, TEXTS))
    assert time.monotonic() - started < BOUND
    assert not ranking.degraded
    expected = Engine(cache=None, vectors=None).rerank(stage, query, TEXTS)
    assert [ranked.score for ranked in ranking.kept] == [ranked.score for ranked in expected.kept]
    return ranking


# --- the breaker ------------------------------------------------------------------------------------------------------


class Fails:
    outlives_process = False

    def __init__(self, error: Exception) -> None:
        self.error, self.tried = error, 0

    def get(self, *key: Any) -> Any:
        self.tried += 1
        raise self.error

    put = get


@examples(50)
@given(gaps=st.lists(st.floats(0, 30), min_size=1, max_size=30))
def test_a_cache_that_fails_is_tried_once_per_pause(gaps: list[float]) -> None:
    now = [0.0]
    cache = Fails(OSError("no space left"))
    guarded = Guarded(cache, lambda: now[0])
    tries: list[float] = []
    for gap in gaps:
        now[0] += gap
        before = cache.tried
        assert guarded.call("get", b"key", lost="x") is None
        if cache.tried > before:
            tries.append(now[0])
    assert all(later - earlier >= PAUSE for earlier, later in pairwise(tries))
    assert tries[0] == gaps[0]


class Unreadable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize("kind", ["answers", "passages"])
@pytest.mark.parametrize(
    "error",
    [
        OSError("x"),
        sqlite3.OperationalError("locked"),
        KeyError("x"),
        RecursionError(),
        MemoryError(),
        TypeError("x"),
        Unreadable(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_cache_raises_is_a_miss_and_one_warning(
    error: Exception, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Fails(error)
    with caplog.at_level(logging.WARNING, "tamis"):
        engine = Engine(cache=cache) if kind == "answers" else Engine(vectors=cache)
        for query in ("one", "two", "three"):
            if kind == "answers":
                assert engine.rerank(Listwise(Chat()), query, TEXTS).positions == (2, 1, 0)
            else:
                assert not engine.rerank(LateInteraction(Tokens()), query, TEXTS).degraded
    warnings = [record for record in caplog.records if "left alone" in record.getMessage()]
    assert len(warnings) == 1
    assert cache.tried == 1


ODD: dict[str, Any] = {
    "a text": "[3] > [2] > [1]",
    "a number": 5,
    "another class": TokenVectors(np.ones((2, 3))),
    "a class": Generated,
    "text that is none": Generated(5),  # type: ignore[arg-type]
    "bytes": b"x",
    "an array": np.zeros(3),
    "a list": [ORDER],
    "an array of text": np.array([["a", "b"]]),
    "an array of objects": np.array([[None, object()]]),
    "three dimensions": np.zeros((2, 2, 2)),
    "nothing but NaN": np.full((0, 0), np.nan),
    "another width": np.ones((2, 5), np.float32),
}


@pytest.mark.parametrize("came", ODD)
def test_what_is_no_answer_to_the_question_is_a_miss(came: str) -> None:
    class Gives:
        outlives_process = False

        def get(self, *key: Any) -> Any:
            return ODD[came]

        def put(self, *kept: Any) -> None: ...

    model = Chat()
    assert Engine(cache=Gives()).rerank(Listwise(model), "q", TEXTS).positions == (2, 1, 0)
    assert model.asked == 1
    tokens = Tokens()
    ranking = Engine(vectors=Gives()).rerank(LateInteraction(tokens), "q", TEXTS)
    assert len(ranking.kept) == 3
    if came != "another width":
        assert not ranking.degraded
        assert tokens.asked == 4


# --- files ------------------------------------------------------------------------------------------------------------


def remains(path: Path) -> list[Path]:
    """The files SQLite keeps beside its own."""
    return [path.with_name(path.name + end) for end in ("-wal", "-shm") if path.with_name(path.name + end).exists()]


def damage_file(path: Path, how: str) -> None:
    """Damage a SQLite file that is closed."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    for file in remains(path):
        file.unlink()
    content = path.read_bytes()
    match how:
        case "cut in half":
            path.write_bytes(content[: len(content) // 2])
        case "random":
            path.write_bytes(np.random.default_rng(0).bytes(9000))
        case "empty":
            path.write_bytes(b"")
        case "no header":
            path.write_bytes(b"\0" * 4096 + content[4096:])
        case "damaged pages":
            path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
        case "a folder":
            path.unlink()
            path.mkdir()
        case "a link to nowhere":
            path.unlink()
            path.symlink_to("/nowhere/at/all")
        case "another schema":
            path.unlink()
            other = sqlite3.connect(path)
            other.execute("CREATE TABLE answers (id INTEGER, x TEXT)")
            other.execute("CREATE TABLE arrays (id INTEGER, x TEXT)")
            other.execute("CREATE VIEW models AS SELECT 1")
            other.commit()
            other.close()


HOW = (
    "cut in half",
    "random",
    "empty",
    "no header",
    "damaged pages",
    "a folder",
    "a link to nowhere",
    "another schema",
)


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_file_is_a_miss(how: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    first = DiskCache(path)
    for number in range(200):
        first.put(b"%016d" % number, ORDER)
    first.close()
    damage_file(path, how)
    answered(path)
    answered(path, "another")


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_index_is_a_miss(how: str, tmp_path: Path) -> None:
    scored(tmp_path / "v")
    index = tmp_path / "v" / "index.sqlite"
    damage_file(index, how)
    scored(tmp_path / "v")
    scored(tmp_path / "v", "another")


@pytest.mark.parametrize("kind", ["answers", "passages"])
def test_a_file_overwritten_or_deleted_while_it_is_open_is_a_miss(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    engine = Engine(cache=path) if kind == "answers" else Engine(cache=None, vectors=tmp_path / "v")
    stage: Any = Listwise(Chat()) if kind == "answers" else LateInteraction(Tokens())
    index = path if kind == "answers" else tmp_path / "v" / "index.sqlite"
    engine.rerank(stage, "q", TEXTS)
    with index.open("r+b") as file:
        file.write(b"\0" * 4096)
    for beside in remains(index):
        beside.write_bytes(b"\xff" * 200)
    assert not within(20, lambda: engine.rerank(stage, "after", TEXTS)).degraded
    shutil.rmtree(tmp_path, ignore_errors=True)
    for query in ("deleted", "again"):
        ranking = within(20, lambda query=query: engine.rerank(stage, query, TEXTS))  # type: ignore[misc]
        assert not ranking.degraded


rows = st.one_of(
    st.text(max_size=30),
    st.binary(max_size=30),
    st.none(),
    st.integers(-(2**60), 2**60),
    st.floats(),
    st.builds(
        lambda name, state: json.dumps([name, state]),
        st.sampled_from(
            ["Generated", "Score", "Scores", "Vector", "Logprobs", "TokenVectors", "Evil", "", "__class__"]
        ),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=4) | st.booleans(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["text", "complete", "value", "values", "tokens_in", "x"]), inner, max_size=4
                )
            ),
            max_leaves=6,
        ),
    ),
    st.just("[" * 100_000),
)


@examples(150)
@given(row=rows)
def test_any_row_is_the_answer_or_a_miss(row: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.sqlite"
    cache = DiskCache(path)
    cache.put(b"k" * 16, ORDER)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("UPDATE answers SET answer = ?", (row,))
    other.close()
    kept = cache.get(b"k" * 16)
    assert kept is None or type(kept).__name__ in ("Generated", "Score", "Scores", "Vector", "Logprobs")
    cache.close()


odd = st.none() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=9) | st.binary(max_size=9)
shapes = st.sampled_from(["3,8", "x,y", "", ",", "-1", "0", "9" * 30, "3,8,", "999999999,999999", "3", "24", "8,3"])


@examples(150)
@given(
    start=odd | st.integers(0, 100),
    kind=odd
    | st.sampled_from(
        ["O", "<f4", "<f8", "U5", "V9", "M8[s]", "<i4", "f4,f4", "<c8", "(2,3)f4", ",", b",", "(" * 99, "f3"]
    ),
    shape=odd | shapes,
    checksum=odd,
)
def test_any_row_of_an_index_is_the_array_or_a_miss(
    start: Any, kind: Any, shape: Any, checksum: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "vectors"
    cache = DiskVectors(folder)
    key, array = b"k" * 16, numbers("a passage")
    cache.put("m", {key: array})
    other = sqlite3.connect(folder / "index.sqlite", isolation_level=None)
    other.execute("UPDATE arrays SET start = ?, type = ?, shape = ?, sum = ?", (start, kind, shape, checksum))
    other.close()
    kept = cache.get("m", key)
    assert kept is None or kept.dtype.kind in "fiu"
    cache.close()


@pytest.mark.parametrize("left", [0, 1, 10, 95, 96])
def test_numbers_another_program_cut_are_a_miss_and_no_end_of_the_process(left: int, tmp_path: Path) -> None:
    engine, stage = Engine(cache=None, vectors=tmp_path / "v"), LateInteraction(Tokens())
    before = engine.rerank(stage, "q", TEXTS)
    (file,) = (tmp_path / "v").glob("*.numbers")
    os.truncate(file, left)
    after = engine.rerank(stage, "q", TEXTS)
    assert [ranked.score for ranked in after.kept] == [ranked.score for ranked in before.kept]
    file.unlink()
    file.mkdir()
    assert not engine.rerank(stage, "q", TEXTS).degraded


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_locked_file_costs_a_bounded_wait_however_many_wait_for_it(lock: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    answered(path)
    scored(tmp_path / "v")
    others = [sqlite3.connect(file, isolation_level=None) for file in (path, tmp_path / "v" / "index.sqlite")]
    for other in others:
        other.execute(lock)
    answered(path, "another")
    scored(tmp_path / "v", "another")
    engine, came = Engine(cache=path, vectors=tmp_path / "v"), list[Ranking]()
    threads = [
        threading.Thread(target=lambda n=n: came.append(engine.rerank(Listwise(Chat()), f"q{n}", TEXTS)))  # type: ignore[misc]
        for n in range(16)
    ]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert time.monotonic() - started < BOUND
    assert len(came) == 16
    for other in others:
        other.execute("ROLLBACK")
        other.close()
    answered(path, "after")


async def test_a_locked_file_does_not_block_the_event_loop(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    answered(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    longest, ticking = 0.0, True

    async def tick() -> None:
        nonlocal longest
        while ticking:
            started = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - started)

    beside = asyncio.create_task(tick())
    ranking = await Engine(cache=path).arerank(Listwise(Chat()), "another", TEXTS)
    ticking = False
    await beside
    other.close()
    assert not ranking.degraded
    assert longest < 0.2


def test_a_read_only_folder_is_a_miss(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only for root")
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    answered(folder / "answers.sqlite")
    scored(folder / "v")
    folder.chmod(0o700)


def test_a_place_that_cannot_be_a_folder_is_a_miss(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    answered(tmp_path / "file" / "answers.sqlite")
    scored(tmp_path / "file" / "v")


FULL = """
import logging, resource, signal, sys
from pathlib import Path
from support.places import ROOT
sys.path.insert(0, str(ROOT / "tests" / "core" / "engine"))
from tamis import Engine, LateInteraction, Listwise
from tamis.values.answers import Generated, TokenVectors
import numpy as np
logging.disable(logging.CRITICAL)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
class Chat:
    name, cache_key = "chat", "chat:1"
    def generate(self, calls):
        return [Generated("[3] > [2] > [1]" + " " * 20_000)] * len(calls)
class Tokens:
    name, cache_key, max_batch = "tokens", "tokens:1", 16
    def embed_tokens(self, calls):
        return [TokenVectors(np.eye(32, dtype=np.float32)) for _ in calls]
folder = Path(sys.argv[1])
engine = Engine(cache=folder / "answers.sqlite", vectors=folder / "v")
for n in range(40):
    assert not engine.rerank(Listwise(Chat()), f"q{n}", ["a", "b", "c"]).degraded
    assert not engine.rerank(LateInteraction(Tokens()), f"q{n}", [f"p{n} {k}" for k in range(10)]).degraded
print("all", [f.stat().st_size <= 100_000 for f in folder.rglob("*") if f.is_file()].count(False))
"""


def test_a_full_disk_is_a_miss(tmp_path: Path) -> None:
    """A limit on the size of files is as good as a full disk: the system refuses to write in the middle of it."""
    assert script(FULL, tmp_path).split() == ["all", "0"]


def test_a_cache_works_again_after_its_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tamis.engine import guarded

    monkeypatch.setattr(guarded, "PAUSE", 0.1)
    path, model = tmp_path / "answers.sqlite", Chat()
    path.mkdir()
    engine = Engine(cache=path)
    engine.rerank(Listwise(model), "q", TEXTS)
    path.rmdir()
    time.sleep(0.15)
    engine.rerank(Listwise(model), "q", TEXTS)
    asked = model.asked
    engine.rerank(Listwise(model), "q", TEXTS)
    assert model.asked == asked


def test_a_file_closed_by_one_thread_is_opened_again_by_the_next(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "answers.sqlite")
    cache.put(b"k" * 16, ORDER)
    cache.close()
    cache.close()
    assert cache.get(b"k" * 16) == ORDER


class Slow:
    """A cache that takes `seconds` for a method, or raises."""

    outlives_process = False

    def __init__(self, method: str, seconds: float = 0.0, error: BaseException | None = None) -> None:
        self.method, self.seconds, self.error = method, seconds, error
        self.stop, self.calls = threading.Event(), 0

    def _do(self, method: str) -> None:
        if method == self.method:
            self.calls += 1
            self.stop.wait(self.seconds)
            if self.error is not None:
                raise self.error

    def get(self, key: bytes) -> None:
        self._do("get")

    def put(self, key: bytes, answer: Any) -> None:
        self._do("put")


@pytest.mark.parametrize("driver", ["sync", "deadline", "async"])
@pytest.mark.parametrize("method", ["get", "put"])
@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
def test_no_exception_of_a_cache_reaches_the_caller(error: BaseException, method: str, driver: str) -> None:
    engine = Engine(cache=Slow(method, error=error), deadline=10.0 if driver == "deadline" else None)
    for query in ("one", "two"):
        if driver == "async":
            ranking = asyncio.run(engine.arerank(Listwise(Chat()), query, TEXTS))
        else:
            ranking = engine.rerank(Listwise(Chat()), query, TEXTS)
        assert not ranking.degraded
        assert ranking.positions == (2, 1, 0)


@pytest.mark.parametrize("method", ["get", "put"])
def test_a_cache_that_hangs_is_waited_for_once(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tamis.engine.guarded.WAIT", 0.1)
    monkeypatch.setattr("tamis.engine.guarded.PAUSE", 0.0)
    cache = Slow(method, 60)
    engine = Engine(cache=cache)
    for query in ("one", "two", "three"):
        ranking = within(20, lambda query=query: engine.rerank(Listwise(Chat()), query, TEXTS))  # type: ignore[misc]
        assert ranking.positions == (2, 1, 0)
    assert cache.calls == 1
    cache.seconds = 0
    cache.stop.set()
    deadline = time.monotonic() + 10
    while cache.calls == 1 and time.monotonic() < deadline:
        engine.rerank(Listwise(Chat()), f"later {time.monotonic()}", TEXTS)
    assert cache.calls > 1


@examples(50)
@given(seconds=st.floats(0.03, 0.9), calls=st.integers(1, 200))
def test_slow_calls_of_a_cache_cost_a_bounded_time_together(seconds: float, calls: int) -> None:
    clock = [0.0]

    class Takes:
        def get(self, key: bytes) -> None:
            clock[0] += seconds

    guarded = Guarded(Takes(), lambda: clock[0], here=True)
    for _ in range(calls):
        guarded.call("get", b"", lost="")
    assert clock[0] <= seconds * (1 + 1 / (seconds - 0.02)) + seconds


def test_quick_calls_of_a_cache_are_never_too_many() -> None:
    clock, calls = [0.0], [0]

    class Takes:
        def get(self, key: bytes) -> None:
            calls[0] += 1
            clock[0] += 0.01

    guarded = Guarded(Takes(), lambda: clock[0], here=True)
    for _ in range(5000):
        guarded.call("get", b"", lost="")
    assert calls[0] == 5000
