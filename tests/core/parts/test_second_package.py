"""A part of another package has everything a built-in part has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from langchain_core.documents import Document as LangChainDocument

import tamis
from langchain_tamis import TamisCompressor
from support.places import ROOT
from support.plugins import on_path
from tamis.errors import ConfigError
from tamis.models import CostOnly
from tamis.recipes.load import model_names
from tamis.recipes.schema import FAMILIES
from tamis.stage.presets import PRESETS

TEXTS = ["calm", "Hey! You!", "well!", "nothing to see"]
LOUDEST = (1, 2, 0, 3)
ONE_EACH: dict[str, Any] = {
    "stage": [{"shout": {"marks": {"weight": 2.0, "marks": ["!", "?"]}}}],
    "judge and schedule": [{"listwise": {"model": "llm", "schedule": {"two_halves": {}}, "judge": {"longer": {}}}}],
    "model": [{"cross_encoder": {"model": {"letters": {"ignored": "x"}}}}],
    "criterion source": [{"multi_criteria": {"criteria": [{"digits": {"full": 0.5}}]}}],
    "kind of edge": [{"graph": {"edges": [{"same_start": {"letters": 2}}]}}],
    "refinement of vectors": [{"refinement": {"model": "llm", "method": {"plain_cosine": {}}}}],
    "confidence": [{"abstain": {"confidence": {"mean_score": {}}}}],
    "policy": ["lexical", {"dynamic_k": {"policy": {"half": {}}}}],
    "preset": ["loud", {"top_n": 1}],
    "preset with underscores": ["longest_first"],
    "names with hyphens": [{"listwise": {"model": "llm", "schedule": "two-halves", "judge": "longer"}}],
}
each = pytest.mark.parametrize("written", ONE_EACH.values(), ids=ONE_EACH)
MODELS = {"llm": CostOnly("llm")}


def tool(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command `tamis`, where the second package is installed."""
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    command = [sys.executable, "-c", "import sys; from tamis.cli import main; sys.exit(main())", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def models(written: Any) -> dict[str, Any]:
    return {name: MODELS[name] for name in model_names(written)}


@each
@pytest.mark.usefixtures("second_package")
def test_it_is_named_in_yaml_written_back_and_validated(written: Any) -> None:
    stage = tamis.load(written, models=models(written))
    text = stage.to_yaml()
    assert tamis.from_yaml(text) == stage
    assert tamis.from_yaml(text).to_yaml() == text
    schema = jsonschema.Draft202012Validator(tamis.json_schema())
    schema.validate(written)
    schema.validate(yaml.safe_load(text))


@pytest.mark.usefixtures("second_package")
def test_the_schema_rejects_a_wrong_option_of_its_part_and_so_does_the_loader() -> None:
    schema = jsonschema.Draft202012Validator(tamis.json_schema())
    for wrong in ([{"shout": {"deep": 3}}], [{"shout": {"depth": 0}}], [{"shout": {"marks": {"weight": -1}}}]):
        assert not schema.is_valid(wrong)
        with pytest.raises(ConfigError, match="stage 'shout': "):
            tamis.load(wrong)


@pytest.mark.usefixtures("second_package")
def test_one_part_of_each_kind_is_a_member_of_its_family() -> None:
    own = {family.kind: [n for n, cls in family.usable() if family.package_of(cls)] for family in FAMILIES}
    assert {kind: len(names) for kind, names in own.items()} == dict.fromkeys(own, 1)


@pytest.mark.usefixtures("second_package")
def test_a_misspelt_name_of_its_part_or_preset_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="unknown stage 'shuot'. Did you mean 'shout'"):
        tamis.load([{"shuot": {}}])
    with pytest.raises(ConfigError, match="Did you mean 'longest-first'"):
        tamis.load("longestfirst")
    with pytest.raises(ConfigError, match="unknown policy 'halve'. Did you mean 'half'"):
        tamis.load([{"dynamic_k": "halve"}])


@pytest.mark.usefixtures("second_package")
def test_its_preset_is_a_pipeline_like_any_other() -> None:
    assert tamis.presets()["loud"].startswith("The loudest")
    assert PRESETS.package_of("loud") == "second-package 1.2.3"
    assert PRESETS.package_of("lexical") is None
    assert tamis.rerank("q", TEXTS, "loud").positions == LOUDEST[:2]


@pytest.mark.usefixtures("second_package")
def test_llamaindex_ranks_with_it() -> None:
    from llama_index.core.schema import NodeWithScore, TextNode
    from llama_index.postprocessor.tamis import TamisRerank

    nodes = [NodeWithScore(node=TextNode(text=text, id_=str(i))) for i, text in enumerate(TEXTS)]
    kept = TamisRerank(["shout"], top_n=2).postprocess_nodes(nodes, query_str="q")
    assert [node.node.node_id for node in kept] == ["1", "2"]
    kept = TamisRerank("loud").postprocess_nodes(nodes, query_str="q")
    assert [node.node.node_id for node in kept] == ["1", "2"]


@pytest.mark.usefixtures("second_package")
def test_langchain_ranks_with_it() -> None:
    found = [LangChainDocument(text) for text in TEXTS]
    for pipeline in (["shout"], "loud"):
        kept = TamisCompressor(pipeline=pipeline, top_n=2).compress_documents(found, "q")
        assert [document.page_content for document in kept] == [TEXTS[1], TEXTS[2]]


@pytest.mark.usefixtures("second_package")
def test_haystack_ranks_with_it_and_writes_it_into_a_pipeline_file() -> None:
    from haystack import Document
    from haystack.core.serialization import component_from_dict, component_to_dict
    from haystack_integrations.components.rankers.tamis import TamisRanker

    stage = tamis.load([{"shout": {"depth": 30}}])
    found = [Document(id=str(i), content=text) for i, text in enumerate(TEXTS)]
    for pipeline in (["shout"], "loud", stage):
        data = json.loads(json.dumps(component_to_dict(TamisRanker(pipeline, top_k=2), "ranker")))
        ranker = component_from_dict(TamisRanker, data, "ranker")
        assert [document.id for document in ranker.run(query="q", documents=found)["documents"]] == ["1", "2"]
    assert TamisRanker("loud")._get_telemetry_data() == {"pipeline": "custom"}


def test_the_command_lists_its_presets_with_the_package_and_shows_them(second_package_folder: Path) -> None:
    listed = tool(second_package_folder, "presets")
    assert listed.returncode == 0, listed.stderr
    (row,) = [line for line in listed.stdout.splitlines() if line.split()[:1] == ["loud"]]
    assert row.rstrip().endswith("second-package 1.2.3")
    shown = tool(second_package_folder, "presets", "show", "longest-first").stdout
    assert "preset: from second-package 1.2.3" in shown
    assert "uses longer: from second-package 1.2.3" in shown
    assert "uses two_halves: from second-package 1.2.3" in shown
    assert "models to give: llm" in shown


def test_nothing_of_it_is_left_when_it_is_gone(second_package_folder: Path) -> None:
    with on_path(second_package_folder):
        assert "shout" in tamis.json_schema()["$defs"]["stage"]["anyOf"][0]["enum"]
    assert "second" not in sys.modules
    assert "loud" not in tamis.presets()
    with pytest.raises(ConfigError, match="unknown stage 'shout'"):
        tamis.load([{"shout": {}}])


def test_it_imports_no_private_module_of_tamis() -> None:
    import ast

    public = {"tamis", "tamis.extend", "tamis.models"}
    for file in (ROOT / "tests/support/second_package").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert {name for name in names if name and name.split(".")[0] == "tamis"} <= public, file
