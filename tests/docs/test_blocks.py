"""Every code block of the pages people read stands complete and runs. Models are replaced where they would need a key
or a hub (`support.page_files`); everything else is real."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.installs import check_install
from support.pages import Block, blocks, pages, read
from support.places import ROOT

RUN = Path(__file__).with_name("run_page.py")
SKIPPED: set[tuple[str, str]] = set()
"""Blocks that cannot run here: (page, reason). Any other skip fails."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", [page for page in pages() if any(True for _ in blocks(page))])
def test_every_block_of_the_page_runs_as_it_stands(page: str, tmp_path: Path) -> None:
    for package in ("torch", "transformers", "sentence_transformers", "onnx", "jsonschema"):
        if find_spec(package) is None:
            pytest.skip(f"needs the package {package}")
    folder, report = tmp_path / "folder", tmp_path / "report.json"
    folder.mkdir()
    paths = os.pathsep.join([str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
    line = [sys.executable, str(RUN), page, str(report)]
    done = subprocess.run(line, cwd=folder, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
    assert report.exists(), done.stdout + done.stderr
    faults = json.loads(report.read_text(encoding="utf-8"))
    assert not faults, "\n".join(f"{page}:{number}: {fault}" for number, fault in faults.items())


def test_no_block_is_skipped_but_those_listed_here() -> None:
    assert {(page, block.argument) for page in pages() for block in blocks(page) if block.verb == "skip"} == SKIPPED


@pytest.mark.parametrize("comment", ["skip", "file", "continue it", "forget it", ""])
def test_a_comment_that_says_nothing_is_an_error(comment: str) -> None:
    with pytest.raises(ValueError, match="nothing that can be done"):
        list(read(f"<!-- blocks: {comment} -->\n```python\n1 / 0\n```\n"))


def test_a_comment_is_about_the_next_block_only() -> None:
    page = "<!-- blocks: skip needs a GPU -->\n\n```python\n1 / 0\n```\n\n1. a\n   ```bash\n   make test\n   ```\n"
    assert list(read(page)) == [Block("python", "1 / 0\n", 3, "skip", "needs a GPU"), Block("bash", "make test\n", 8)]


@pytest.mark.parametrize("page", pages())
def test_an_install_command_in_the_text_works_in_a_clone(page: str) -> None:
    for command in re.findall(r"`(pip install [^`]+)`", (ROOT / page).read_text(encoding="utf-8")):
        check_install(shlex.split(command))
