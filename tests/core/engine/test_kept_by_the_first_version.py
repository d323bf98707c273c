"""Disk caches that version 0.1.0 wrote are read: the same keys, and rows with fields that have gone since."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tamis import CrossEncoder, Engine
from tamis.engine import DiskCache
from tamis.engine.cache import cache_key
from tamis.models import Function
from tamis.values import calls
from tamis.values.answers import Logprobs, Score, Vector
from tamis.values.calls import Message


class Model:
    cache_key = "m"


USER = (Message("user", "hi"),)
KEYS = {
    calls.Generate(Model(), USER, max_tokens=5, expect="x"): "59b7367cd0ac0ef36e5c5fbaef66006c",
    calls.ChoiceLogprobs(Model(), USER, ("Yes", "No")): "35846b8823ce8177def1b70a9d46b016",
    calls.PromptLogprobs(Model(), "a", "b"): "cae6163194b824215967ee3d786c1ce8",
    calls.Classify(Model(), "q", "t"): "528f67ed5aba6e3cee4fbe66b9f6c33f",
    calls.ClassifyVectors(Model(), "q", np.ones((1, 2), np.float32)): "d32be6f82182659f5845cb4a5cf8c043",
    calls.ScoreList(Model(), "q", ("a", "b")): "1e531324452171d416380d570dfc4a84",
    calls.Embed(Model(), "t"): "a9d468742745e5894015ae43cdb4b14a",
    calls.EmbedTokens(Model(), "t", "query"): "c6db95696348c8143c848571d3d8e318",
}
"""Digests that version 0.1.0 made of these calls."""

TOKENS = {"tokens_in": None, "tokens_out": None}
ROWS: list[tuple[str, dict[str, Any], Any]] = [
    ("Score", {**TOKENS, "value": 0.5, "search_units": 0, "artefact": None}, Score(0.5)),
    ("Vector", {**TOKENS, "values": [1.0, 2.0]}, Vector((1.0, 2.0))),
    ("Logprobs", {"tokens_in": 3, "tokens_out": 1, "values": [-0.5]}, Logprobs((-0.5,), tokens_in=3, tokens_out=1)),
    ("Unheard", {"value": 1}, None),
]


def written(path: Path, key: bytes, row: str) -> None:
    """A file as version 0.1.0 made it."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT) WITHOUT ROWID")
        connection.execute("INSERT INTO answers VALUES (?, ?)", (key, row))


@pytest.mark.parametrize(("call", "key"), KEYS.items(), ids=lambda value: type(value).__name__)
def test_a_call_has_the_key_it_had(call: calls.Call, key: str) -> None:
    assert (cache_key(call) or b"").hex() == key


def test_a_field_that_came_later_is_part_of_a_key_where_it_is_set() -> None:
    assert cache_key(calls.Embed(Model(), "t", controls=True)) != cache_key(calls.Embed(Model(), "t"))
    keys = {cache_key(calls.Generate(Model(), USER, thoughts=thoughts)) for thoughts in (None, 0, 10)}
    assert len(keys) == 3


def test_every_kind_of_call_has_a_key_here() -> None:
    assert {type(call) for call in KEYS} == set(calls.CALLS)


@pytest.mark.parametrize(("kind", "state", "answer"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_is_read_or_is_a_miss(tmp_path: Path, kind: str, state: dict[str, Any], answer: Any) -> None:
    path = tmp_path / "answers.sqlite"
    written(path, b"0" * 16, json.dumps([kind, state]))
    assert DiskCache(path).get(b"0" * 16) == answer


def test_a_rerank_is_answered_from_rows_of_the_first_version(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    row = json.dumps(["Score", {**TOKENS, "value": 7.0, "search_units": 0, "artefact": None}])
    key = bytes.fromhex("528f67ed5aba6e3cee4fbe66b9f6c33f")
    written(path, key, row)

    def never(call: Any) -> float:
        raise AssertionError("the answer is in the cache")

    model = Function(never, "classify")
    model.cache_key = "m"  # type: ignore[attr-defined]
    ranking = Engine(cache=str(path)).rerank(CrossEncoder(model), "q", ["t"])
    assert ranking.kept[0].score == 7.0
    assert ranking.usage.cached == 1
