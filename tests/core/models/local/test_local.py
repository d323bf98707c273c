"""What local models share, without any model."""

from __future__ import annotations

import copy
import math
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.errors import MissingExtra, needed
from tamis.models.lazy import Lazy, once
from tamis.models.local.base import by_length, cores, fingerprint, log_odds, log_sum_exp


@dataclass(frozen=True)
class Slow(Lazy):
    name: str = "slow"

    @once
    def part(self) -> object:
        time.sleep(0.05)
        return threading.Lock()

    @once
    def whole(self) -> object:
        return [self.part]


def test_once_makes_one_for_all_threads():
    slow = Slow()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: slow.whole, range(8)))
    assert all(other is made[0] for other in made)


def test_copies_and_closing_drop_what_was_made():
    slow = Slow("x")
    part = slow.part
    for twin in (copy.copy(slow), copy.deepcopy(slow), pickle.loads(pickle.dumps(slow))):
        assert twin == slow
        assert twin.part is not part
    slow.close()
    assert slow.part is not part
    assert slow.name == "x"


def test_a_failed_making_is_tried_again():
    tries = []

    @dataclass(frozen=True)
    class Flaky(Lazy):
        @once
        def part(self) -> int:
            tries.append(1)
            return 1 // (len(tries) - 1)

    flaky = Flaky()
    with pytest.raises(ZeroDivisionError):
        _ = flaky.part
    assert flaky.part == 1


def test_what_is_missing_names_the_extra():
    with pytest.raises(MissingExtra, match=r"pip install './packages/core\[onnx\]'"):
        needed("no_such_module_anywhere", "A model", "onnx")


@given(st.lists(st.integers(0, 600), max_size=80), st.integers(1, 20), st.integers(1, 2000))
def test_groups_hold_every_position_once_and_pad_little(lengths, size, tokens):
    groups = list(by_length(lengths, size, tokens))
    assert sorted(position for group in groups for position in group) == list(range(len(lengths)))
    for group in groups:
        own = [lengths[position] for position in group]
        assert len(own) <= size
        assert max(own) <= 1.3 * min(own) + 8
        assert len(own) == 1 or len(own) * max(own) <= tokens
    widest = [max(lengths[position] for position in group) for group in groups]
    assert widest == sorted(widest, reverse=True)


def test_cores_are_those_this_process_may_use():
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_log_odds():
    assert log_odds(np.array([[1.5], [-2.0]])) == [1.5, -2.0]
    assert log_odds(np.array([1.5, -2.0])) == [1.5, -2.0]
    assert log_odds(np.array([[1.0, 3.0]])) == pytest.approx([2.0])
    assert log_odds(np.array([[1.0, 3.0]]), 0) == pytest.approx([-2.0])
    assert log_odds(np.array([[0.0, 0.0, 0.0]])) == pytest.approx([-math.log(2)])


def test_log_sum_exp():
    assert log_sum_exp([math.log(0.25), math.log(0.5)]) == pytest.approx(math.log(0.75))
    assert log_sum_exp([-1000.0, -1000.0]) == pytest.approx(-1000 + math.log(2))
    assert log_sum_exp([]) == -math.inf


def test_the_fingerprint_changes_with_the_files(tmp_path):
    assert fingerprint(Path("no/such/folder")) == ""
    empty = fingerprint(tmp_path)
    (tmp_path / "model.onnx").write_text("a")
    assert fingerprint(tmp_path) != empty


def test_naming_the_models_imports_nothing_heavy():
    code = (
        "import sys; from tamis.models import *; "
        "print({m.split('.')[0] for m in sys.modules} & {'torch','transformers','httpx','onnxruntime','tokenizers'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
