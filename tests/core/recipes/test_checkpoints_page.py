"""docs/checkpoints.md lists every checkpoint as its file states it."""

from __future__ import annotations

import subprocess
import sys

from support.places import ROOT
from tamis.recipes.cards import checkpoints

PAGE = ROOT / "docs" / "checkpoints.md"


def test_the_table_is_up_to_date() -> None:
    command = [sys.executable, "scripts/checkpoints_page.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_page_names_every_checkpoint() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in checkpoints() if f"`{name}`" not in page] == []
