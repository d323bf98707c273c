"""docs/extending.md is complete: an example of each kind of part, short, and of `tamis.extend` alone."""

from __future__ import annotations

import ast
import tomllib

from support.pages import blocks
from support.places import ROOT
from tamis.graph.networks.base_network import NETWORKS
from tamis.recipes.schema import FAMILIES

PAGE = "docs/extending.md"


def test_every_kind_of_part_has_an_example_of_at_most_20_lines() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    (project,) = [block for block in blocks(PAGE) if block.argument == "pyproject.toml"]
    groups = tomllib.loads(project.text)["project"]["entry-points"]
    shown = {group for group in groups if group.startswith("tamis.")}
    other = {"tamis.fitted", "tamis.networks"}
    assert shown == {family.group for family in FAMILIES} - other | {"tamis.presets"}
    assert all(group in text for group in other | {"tamis.checkpoints"})
    assert all(len(block.text.splitlines()) <= 20 for block in blocks(PAGE) if block.language != "toml")


def test_the_examples_import_tamis_extend_only() -> None:
    for block in blocks(PAGE):
        if block.verb in ("file", "append") and block.language == "python":
            froms = [node.module for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.ImportFrom)]
            assert set(froms) <= {"tamis.extend"}


def test_every_base_class_of_a_family_can_be_imported_from_tamis_extend() -> None:
    import tamis.extend

    bases = [family.base for family in (*FAMILIES, NETWORKS) if family.base is not None]
    assert len(bases) == len(FAMILIES)
    for base in bases:
        assert getattr(tamis.extend, base.__name__) is base
