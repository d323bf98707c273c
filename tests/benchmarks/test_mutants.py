"""What `make mutants` rests on: faults that are drawn alike every time, change one place, and are planted in a copy."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support.places import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import mutation
from mutants import SOURCES, Plan
from planting import Tree

SOURCE = """\
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from a import B

Name = str | int
Way = Literal[1, 2]


def share(part: float | None, *, whole: "int | None" = 3) -> float | None:
    if part is None:
        return -1.0
    return sum(a / b for a, b in zip([part], [whole], strict=True))
"""


def changed_lines(code: str) -> list[int]:
    return [n for n, (a, b) in enumerate(zip(SOURCE.split("\n"), code.split("\n"), strict=True), 1) if a != b]


def test_a_fault_changes_one_line_that_runs_and_is_drawn_alike_every_time() -> None:
    pytest.importorskip("cosmic_ray")
    drawn = mutation.sample("a.py", SOURCE, 100, 7)
    assert drawn == mutation.sample("a.py", SOURCE, 100, 7)
    assert [changed_lines(mutant.code) for mutant in drawn] == [[mutant.line] for mutant in drawn]
    assert {mutant.line for mutant in drawn} == {10, 11, 12, 13}
    assert not any("strict=False" in mutant.now or "/, whole" in mutant.now for mutant in drawn)
    assert len({mutant.code for mutant in drawn}) == len(drawn)
    assert {mutant.line for mutant in drawn[:4]} == {10, 11, 12, 13}, "every line once before any twice"


def test_another_seed_draws_others() -> None:
    pytest.importorskip("cosmic_ray")
    assert {mutation.sample("a.py", SOURCE, 1, seed)[0].now for seed in range(10)} != {
        mutation.sample("a.py", SOURCE, 1, 7)[0].now
    }


def test_a_known_fault_is_found_by_its_line_wherever_that_is() -> None:
    mutant = mutation.replaced("a.py", SOURCE, "return -1.0", "return 0.0")
    assert mutant is not None
    assert (mutant.line, changed_lines(mutant.code)) == (12, [12])
    assert mutation.replaced("a.py", SOURCE, "return -2.0", "return 0.0") is None


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "root"
    for name, text in {
        "packages/core/src/lib.py": "def double(x):\n    return 2 * x\n",
        "tests/test_lib.py": "from lib import double\n\n\ndef test_it():\n    assert double(2) == 4\n",
        "tests/test_wrong.py": "def test_wrong():\n    assert False\n",
        "tests/conftest.py": "",
        "tests/support/__init__.py": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return Tree(root, tmp_path / "work" / "tree")


def test_a_fault_is_noticed_by_name_or_survives_and_is_taken_back(tree: Tree, tmp_path: Path) -> None:
    lib, tests = Path("packages/core/src/lib.py"), ("tests/test_lib.py",)
    before = (tmp_path / "root" / lib).read_text(encoding="utf-8")
    assert tree.tried(lib, before.replace("2 * x", "3 * x"), tests).by == "tests/test_lib.py::test_it"
    assert tree.tried(lib, before.replace("2 * x", "x + x"), tests).by == ""
    assert (tree.place / lib).read_text(encoding="utf-8") == before
    assert (tmp_path / "root" / lib).read_text(encoding="utf-8") == before


def test_tests_that_fail_without_a_fault_are_an_error(tree: Tree) -> None:
    with pytest.raises(RuntimeError, match="test_wrong fails: mend it first"):
        tree.tried(Path("packages/core/src/lib.py"), "", ("tests/test_wrong.py",))


def test_every_file_has_tests_that_are_there() -> None:
    plan = Plan(**tomllib.loads((ROOT / "benchmarks/mutants.toml").read_text(encoding="utf-8")))
    for package in plan.packages:
        files = plan.files(package)
        assert files
        for path in files:
            missing = [test for test in plan.tests_of(package, path) if not (ROOT / test.partition("::")[0]).exists()]
            assert not missing, f"{path}: {missing}"
    assert [path for path in plan.tests if not (ROOT / SOURCES / path).exists()] == []
