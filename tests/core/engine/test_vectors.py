"""What models make of passages is kept, in memory and on disk, and comes back as it was."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from tamis import Embedding, Engine, LateInteraction, Ranking
from tamis.engine import DiskVectors, MemoryVectors
from tamis.values.answers import TokenVectors, Vector
from tamis.values.calls import Embed, EmbedTokens

TEXTS = [f"passage {n}" for n in range(20)]
TYPES = (np.float16, np.float32, np.float64, np.int8)


def array(seed: int) -> Any:
    """Numbers of a type and shape of their own."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 9, size=rng.integers(1, 4)))
    return (rng.normal(size=shape) * 50).astype(TYPES[seed % len(TYPES)])


def same(a: Any, b: Any) -> bool:
    return a is not None and a.dtype == b.dtype and a.shape == b.shape and bool(np.array_equal(a, b))


def key(n: int) -> bytes:
    return n.to_bytes(16, "big")


@pytest.fixture(params=["memory", "disk"])
def passages(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryVectors() if request.param == "memory" else DiskVectors(tmp_path / "kept")


def test_arrays_come_back_as_they_were(passages: Any) -> None:
    for n in range(12):
        passages.put("a" if n % 2 else "b", {key(n): array(n)})
    for n in range(12):
        assert same(passages.get("a" if n % 2 else "b", key(n)), array(n))
    assert passages.get("b", key(1)) is None, "models do not see each other's"
    assert passages.get("c", key(1)) is None
    assert passages.get("a", key(99)) is None


def test_a_later_array_takes_the_place_of_an_earlier_one(passages: Any) -> None:
    passages.put("m", {key(1): array(1)})
    passages.put("m", {key(1): array(2), key(3): array(3)})
    assert same(passages.get("m", key(1)), array(2))
    assert same(passages.get("m", key(3)), array(3))


def test_memory_is_bounded_by_bytes_and_forgets_what_was_not_used() -> None:
    kept = MemoryVectors(max_bytes=1000)
    for n in range(3):
        kept.put("m", {key(n): np.zeros(80, np.float32)})
    assert kept.get("m", key(0)) is not None
    kept.put("m", {key(3): np.zeros(80, np.float32)})
    assert [kept.get("m", key(n)) is None for n in range(4)] == [False, True, False, False]
    kept.put("m", {key(9): np.zeros(8000, np.float32)})
    assert kept.get("m", key(9)) is None, "larger than the whole memory"
    assert kept.get("m", key(3)) is not None


# On disk


def test_a_folder_is_read_by_the_next_process(tmp_path: Path) -> None:
    DiskVectors(tmp_path).put("m", {key(n): array(n) for n in range(9)})
    again = DiskVectors(tmp_path)
    assert len(again) == 9
    assert all(same(again.get("m", key(n)), array(n)) for n in range(9))


def test_what_is_read_is_a_copy_that_nobody_can_write_to_or_cut(tmp_path: Path) -> None:
    kept = DiskVectors(tmp_path)
    for n in range(5):
        kept.put("m", {key(n): array(n)})
    read = kept.get("m", key(4))
    assert read is not None
    assert not read.flags.writeable
    (numbers,) = tmp_path.glob("*.numbers")
    os.truncate(numbers, 0)
    assert same(read, array(4))
    assert kept.get("m", key(4)) is None


def test_an_array_outlives_the_growth_of_its_file(tmp_path: Path) -> None:
    kept = DiskVectors(tmp_path)
    kept.put("m", {key(0): array(0)})
    first = kept.get("m", key(0))
    kept.put("m", {key(1): np.ones((500, 500))})
    assert kept.get("m", key(1)).sum() == 250_000
    assert same(first, array(0))


def _write(folder: Path, numbers: Sequence[int]) -> None:
    kept = DiskVectors(folder, wait=60)
    for n in numbers:
        kept.put("m", {key(n): array(n)})
        assert same(kept.get("m", key(n)), array(n))


def test_processes_write_and_read_one_folder_at_the_same_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    orders = [random.Random(seed).sample(range(60), 40) for seed in range(3)]
    workers = [context.Process(target=_write, args=(tmp_path, order)) for order in orders]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    kept = DiskVectors(tmp_path)
    assert all(same(kept.get("m", key(n)), array(n)) for order in orders for n in order)


def test_threads_share_one_folder(tmp_path: Path) -> None:
    kept = DiskVectors(tmp_path, wait=60)
    threads = [
        threading.Thread(target=lambda s=s: [kept.put("m", {key(n): array(n)}) for n in range(s, 60, 4)])
        for s in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(kept.get("m", key(n)), array(n)) for n in range(60))


def _die_between_numbers_and_index(folder: Path) -> None:
    kept = DiskVectors(folder)
    kept.put("m", {key(1): array(1)})

    class Dies:
        """A connection whose process ends before the index hears where the new numbers are."""

        def __init__(self, real: Any) -> None:
            self.real = real

        def __getattr__(self, name: str) -> Any:
            if name == "executemany":
                os._exit(9)
            return getattr(self.real, name)

    kept._index._connection = Dies(kept._index._connection)  # type: ignore[assignment]
    kept.put("m", {key(2): array(2)})


def test_a_process_that_dies_half_way_costs_only_what_it_was_writing(tmp_path: Path) -> None:
    worker = multiprocessing.get_context("spawn").Process(target=_die_between_numbers_and_index, args=(tmp_path,))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 9
    kept = DiskVectors(tmp_path)
    assert same(kept.get("m", key(1)), array(1))
    assert kept.get("m", key(2)) is None
    kept.put("m", {key(2): array(2), key(3): array(3)})
    assert all(same(kept.get("m", key(n)), array(n)) for n in (1, 2, 3))


@examples(30)
@given(lost=st.integers(1, 400), damage=st.booleans())
def test_numbers_a_machine_lost_are_made_again_never_wrong(lost: int, damage: bool) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        kept = DiskVectors(folder)
        for n in range(6):
            kept.put("m", {key(n): array(n)})
        kept.close()
        (numbers,) = folder.glob("*.numbers")
        size = numbers.stat().st_size
        if damage:
            content = bytearray(numbers.read_bytes())
            content[max(0, size - lost)] ^= 0xFF
            numbers.write_bytes(bytes(content))
        else:
            os.truncate(numbers, max(0, size - lost))
        kept = DiskVectors(folder)
        for n in range(6):
            read = kept.get("m", key(n))
            assert read is None or same(read, array(n))
        kept.put("m", {key(n): array(n) for n in range(6)})
        assert all(same(kept.get("m", key(n)), array(n)) for n in range(6))


def test_a_folder_whose_numbers_are_gone_starts_anew(tmp_path: Path) -> None:
    kept = DiskVectors(tmp_path)
    kept.put("m", {key(1): array(1)})
    next(tmp_path.glob("*.numbers")).unlink()
    assert kept.get("m", key(1)) is None
    kept.put("m", {key(1): array(1)})
    assert same(kept.get("m", key(1)), array(1))


# Under the engine


class Letters:
    """An embedder of letter counts that says how often it was asked, and gives numbers no 4 bytes hold exactly."""

    max_batch = 7

    def __init__(self, cache_key: str | None = "test:letters") -> None:
        self.cache_key = cache_key
        self.asked: list[str] = []

    def embed(self, calls: Sequence[Embed]) -> list[Vector]:
        self.asked += [call.text for call in calls]
        return [Vector(tuple((call.text.count(c) + 1) / 3 for c in "passge 0123456789")) for call in calls]


class LetterTokens(Letters):
    """A vector a word, in halves."""

    def embed_tokens(self, calls: Sequence[EmbedTokens]) -> list[TokenVectors]:
        self.asked += [call.text for call in calls]
        return [
            TokenVectors(
                np.array([[word.count(c) + 0.1 for c in "page0123456789"] for word in call.text.split()], np.float16)
            )
            for call in calls
        ]


def test_token_vectors_of_passages_are_kept_as_they_are_and_those_of_queries_are_not(tmp_path: Path) -> None:
    for options in ({}, {"vectors": tmp_path}, {"cache": str(tmp_path / "a.sqlite")}):
        engine, model = Engine(**options), LetterTokens()  # type: ignore[arg-type]
        cold = engine.rerank(LateInteraction(model), "page 1", TEXTS)
        warm = engine.rerank(LateInteraction(model), "page 1", TEXTS)
        assert warm.kept == cold.kept
        assert (warm.usage.calls, warm.usage.cached) == (1, 20)
        assert model.asked == ["page 1", *TEXTS, "page 1"]
    kept = DiskVectors(tmp_path)
    with sqlite3.connect(kept.folder / "index.sqlite") as index:
        kinds = {kind for (kind,) in index.execute("SELECT type FROM arrays")}
    assert kinds == {"<f2"}


def test_passages_are_embedded_once_for_all_queries(tmp_path: Path) -> None:
    for engine in (Engine(), Engine(vectors=tmp_path), Engine(cache=None, vectors=str(tmp_path / "other"))):
        model = Letters()
        first = engine.rerank(Embedding(model), "page 1", TEXTS)
        second = engine.rerank(Embedding(model), "page 2", TEXTS)
        assert (first.usage.calls, first.usage.cached) == (21, 0)
        assert (second.usage.calls, second.usage.cached) == (1, 20)
        assert len(model.asked) == 22


def test_a_folder_serves_another_engine_with_the_same_ranking(tmp_path: Path) -> None:
    cold = Engine(vectors=tmp_path).rerank(Embedding(Letters()), "page 1", TEXTS)
    model = Letters()
    warm = Engine(vectors=tmp_path).rerank(Embedding(model), "page 1", TEXTS)
    assert warm.kept == cold.kept
    assert model.asked == ["page 1"]


async def test_the_async_driver_reads_and_writes_it_too(tmp_path: Path) -> None:
    engine = Engine(vectors=tmp_path)
    await engine.arerank(Embedding(Letters()), "page 1", TEXTS)
    rankings = [Ranking.of(f"page {n}", TEXTS) for n in range(3)]
    done = await engine.arerank_many(Embedding(Letters()), rankings)
    assert sum(ranking.usage.cached for ranking in done) == 60 + 1, "and page 1 from the cache of answers"


def test_another_version_of_a_model_starts_anew(tmp_path: Path) -> None:
    Engine(vectors=tmp_path).rerank(Embedding(Letters("v1")), "page 1", TEXTS)
    assert Engine(vectors=tmp_path).rerank(Embedding(Letters("v2")), "page 1", TEXTS).usage.cached == 0


def test_a_model_without_a_cache_key_is_never_kept(tmp_path: Path) -> None:
    engine = Engine(vectors=tmp_path)
    engine.rerank(Embedding(Letters(None)), "page 1", TEXTS)
    assert engine.rerank(Embedding(Letters(None)), "page 2", TEXTS).usage.cached == 0


def test_nothing_is_kept_without_a_cache() -> None:
    engine = Engine(cache=None)
    engine.rerank(Embedding(Letters()), "page 1", TEXTS)
    assert engine.rerank(Embedding(Letters()), "page 1", TEXTS).usage.cached == 0


def test_a_cache_on_disk_keeps_vectors_unless_a_folder_is_given(tmp_path: Path) -> None:
    path = str(tmp_path / "answers.sqlite")
    Engine(cache=path).rerank(Embedding(Letters()), "page 1", TEXTS)
    assert Engine(cache=path).rerank(Embedding(Letters()), "page 1", TEXTS).usage.cached == 21
    assert Engine(cache=path, vectors=tmp_path / "v").rerank(Embedding(Letters()), "page 1", TEXTS).usage.cached == 1


def test_a_full_disk_costs_the_memory_not_the_ranking(caplog: pytest.LogCaptureFixture) -> None:
    class Full(MemoryVectors):
        def put(self, model: str, arrays: Any) -> None:
            raise OSError(28, "No space left on device")

    ranking = Engine(vectors=Full()).rerank(Embedding(Letters()), "page 1", TEXTS)
    assert not ranking.degraded
    assert "No space left" in caplog.text


def test_an_engine_with_a_folder_can_be_pickled(tmp_path: Path) -> None:
    engine = Engine(vectors=DiskVectors(tmp_path))
    engine.rerank(Embedding(Letters()), "page 1", TEXTS)
    twin = pickle.loads(pickle.dumps(engine))
    assert twin.rerank(Embedding(Letters()), "page 2", TEXTS).usage.cached == 20
