"""The code blocks of the documentation run as they are written."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from support.blocks import blocks, script, write
from support.places import ROOT
from support.plugins import install
from tamis.graph.networks.base_network import NETWORKS
from tamis.recipes.schema import FAMILIES

PAGES = ["docs/extending.md"]
EXTENDING = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run_in_order(page: str, tmp_path: Path) -> None:
    found = list(blocks((ROOT / page).read_text(encoding="utf-8")))
    folder = tmp_path / "page"
    folder.mkdir()
    files = write(found, folder)
    path = [os.environ.get("PYTHONPATH", "")]
    if folder / "pyproject.toml" in files:
        path.insert(0, str(install(folder, tmp_path / "site")))
    for block in found:
        if block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "yaml":
            yaml.safe_load(block.text)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONWARNINGS": "error::UserWarning"}
    command = [sys.executable, "-c", script(found)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr


def test_every_kind_of_part_has_an_example_of_at_most_20_lines() -> None:
    (project,) = [block for block in blocks(EXTENDING) if block.rest == "pyproject.toml"]
    groups = tomllib.loads(project.text)["project"]["entry-points"]
    shown = {group for group in groups if group.startswith("tamis.")}
    other = {"tamis.fitted", "tamis.networks"}
    assert shown == {family.group for family in FAMILIES} - other | {"tamis.presets"}
    assert all(group in EXTENDING for group in other | {"tamis.checkpoints"})
    assert all(len(block.text.splitlines()) <= 20 for block in blocks(EXTENDING) if block.language != "toml")


def test_the_examples_import_tamis_extend_only() -> None:
    for block in blocks(EXTENDING):
        if block.verb in ("file", "append") and block.language == "python":
            froms = [node.module for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.ImportFrom)]
            assert set(froms) <= {"tamis.extend"}


def test_every_base_class_of_a_family_can_be_imported_from_tamis_extend() -> None:
    import tamis.extend

    bases = [family.base for family in (*FAMILIES, NETWORKS) if family.base is not None]
    assert len(bases) == len(FAMILIES)
    for base in bases:
        assert getattr(tamis.extend, base.__name__) is base


@pytest.mark.parametrize("comment", ["<!-- blocks: skip -->", "<!-- blocks: file -->", "<!-- blocks: forget it -->"])
def test_a_block_is_left_out_for_a_reason_only(comment: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        list(blocks(f"{comment}\n```python\n1 / 0\n```\n"))


def test_a_skipped_block_is_not_run_and_the_others_are() -> None:
    page = "```python\na = 1\n```\n<!-- blocks: skip needs a server -->\n```python\n1 / 0\n```\n```text\nx\n```\n"
    found = list(blocks(page))
    assert [block.verb for block in found] == ["", "skip"]
    assert script(found).strip() == "a = 1"
