"""docs/failure_modes.md names a test for each failure: they are all there."""

from __future__ import annotations

import re

from support.places import ROOT

ROW = re.compile(r"^\| (\d+) \|.*\| ([^|]+) \|$", re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def test_every_failure_mode_names_tests_that_exist() -> None:
    rows = ROW.findall((ROOT / "docs" / "failure_modes.md").read_text(encoding="utf-8"))
    assert [int(number) for number, _ in rows] == list(range(1, 43))
    for number, cell in rows:
        named = NAMED.findall(cell)
        assert named, f"row {number} names no test"
        for file, test in named:
            assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"row {number}: {test}"
