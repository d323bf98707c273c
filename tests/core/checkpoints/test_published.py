"""One file describes a published model: preset, template, wording, shape and card come from it."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.plugins import on_path, pretend
from tamis import json_schema, load, models
from tamis.checkpoints.published import CHECKPOINTS, published
from tamis.compute.architectures import architecture_named, architectures, shapes
from tamis.errors import ConfigError
from tamis.models import CostOnly
from tamis.prompts.template import template, templates
from tamis.prompts.wordings import wording, wording_for, wordings
from tamis.recipes.cards import cards, checkpoint, checkpoints, describe
from tamis.recipes.load import presets
from tamis.stage.presets import PRESETS

PUFFIN = r"""
title: Puffin-Ranker (yes against no)
paper: "Puffin et al., 2026"
stage:
  - pointwise: {model: llm, judge: {labels: {labels: ["yes", "no"], template: puffin-ranker}}}
checkpoint:
  names: [puffins/Puffin-Ranker-1B]
  labels: ["yes", "no"]
  context: 4096
  licence: MIT
template:
  source: the README of puffins/rank
  user: "Puffins ask {query} and find {passage}. Relevant?"
wording:
  before: ["Puffins ask {query}"]
  passage: " and find {passage}"
  after: [". Relevant?"]
  positive: "yes"
  negative: "no"
  models: [puffin-ranker]
  source: the README of puffins/rank
shapes:
  Puffin-Ranker-1B: Llama-3.2-1B
"""

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    """Pretends that a package is installed whose folder of checkpoints holds one file."""
    with ExitStack() as until_the_end:

        def made(text: str, name: str = "puffin-ranker") -> Path:
            files = {"puffins/__init__.py": "", "puffins/checkpoints/__init__.py": ""}
            file = f"puffins/checkpoints/{name}.yaml"
            points = {"tamis.checkpoints puffins": "puffins.checkpoints"}
            folder = pretend(tmp_path, "puffins", "1.0", points, {**files, file: text})
            until_the_end.enter_context(on_path(folder))
            architecture_named.cache_clear()
            return tmp_path / file

        yield made
    architecture_named.cache_clear()


def test_one_file_of_another_package_is_preset_template_wording_shape_and_card(install: Install) -> None:
    install(PUFFIN)
    llm = CostOnly("puffins/Puffin-Ranker-1B", architecture="puffin-ranker-1b")
    stage = load("puffin-ranker", models={"llm": llm})
    assert stage == load([{"pointwise": {"model": llm, "judge": {"labels": {"labels": ["yes", "no"], "template": "puffin_ranker"}}}}])  # fmt: skip
    assert sorted(stage.rerank("q", ["a", "b"]).positions) == [0, 1]
    assert presets()["puffin-ranker"] == "Puffin-Ranker (yes against no)"
    assert "puffin-ranker" in json_schema()["$defs"]["stage"]["anyOf"][0]["enum"]
    assert template("puffin-ranker").user == "Puffins ask {query} and find {passage}. Relevant?"
    assert wording("puffin-ranker").before == ("Puffins ask {query}",)
    assert models.LMCrossEncoder("puffins/Puffin-Ranker-1B")._wording == wording("puffin-ranker")
    assert architecture_named("puffins/Puffin-Ranker-1B-GGUF") == architectures()["Llama-3.2-1B"]
    card = checkpoint("puffins/Puffin-Ranker-1B")
    assert (card.template, card.wording, card.licence) == ("puffin-ranker", "puffin-ranker", "MIT")
    card.check(stage)
    assert "checkpoint: puffins/Puffin-Ranker-1B" in describe("puffin-ranker")


def test_a_checkpoint_of_an_installed_package_is_found(second_package: Path) -> None:
    assert checkpoint("magpies/Magpie-Ranker-4B").template == "magpie-ranker"
    assert PRESETS.package_of("magpie-ranker") == "second-package 1.2.3"
    stage = load("magpie-ranker", models={"llm": CostOnly()})
    checkpoint("magpies/Magpie-Ranker-4B").check(stage)


def test_a_file_without_a_stage_is_no_preset(install: Install) -> None:
    install("title: x\ncheckpoint: {names: [puffins/x], form: a pair}\n")
    assert "puffin-ranker" not in presets()
    assert [card.form for card in cards("puffin-ranker")] == ["a pair"]
    assert describe("puffin-ranker").splitlines()[:2] == ["x", "checkpoint: puffins/x"]
    with pytest.raises(ConfigError, match="unknown pipeline 'puffin-ranker'"):
        load("puffin-ranker")


def use(name: str) -> None:
    """Makes all that is made of one file."""
    file = published(name)
    assert file.template is None or template(name)
    assert file.wording is None or wording(name)
    assert file.stage is None or PRESETS.data(name)
    for shape in file.shapes or ():
        architecture_named(shape)
    for card in cards(name):
        assert all(checkpoint(model) == card for model in card.names)


def lists() -> list[set[str]]:
    return [set(presets()), set(templates()), set(wordings()), set(checkpoints())]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("- lexical", "holds fields .*not list"),
        ("title: [", "is not valid YAML"),
        ("paper: x", "title"),
        ("title: x\nstages: lexical", "stages"),
        ("title: x\ntemplate: monot5", "template"),
        ("title: x\nname: y", "name is not stated"),
        ("title: x\ntemplate: {user: '{query}'}", r"template: .*must hold \{query\}"),
        ("title: x\ntemplate: {usr: '{query}{passage}'}", "template: .*usr"),
        (
            "title: x\nwording: {before: ['{query}'], passage: '{passage}', after: [], positive: yes}",
            "wording: .*positive",
        ),
        ("title: x\nshapes: {x: {kind: decoder, width: 8}}", r"shapes\.x: .*layers"),
        ("title: x\nshapes: {x: 7}", r"shapes\.x"),
        ("title: x\nshapes: {x: Qwen3-9B}", r"shapes\.x: no well-known model is called 'Qwen3-9B'.*'qwen3-0?"),
        ("title: x\nshapes: {x: y, y: x}", r"shapes\.[xy]: [xy] and [xy] name each other"),
        ("title: x\nshapes: {x: x}", r"shapes\.x: x and x name each other"),
        ("title: x\nshapes: {qwen3-8b: Qwen3-4B}", "the shape of Qwen3-8B is stated more than once, .*shapes.yaml"),
        ("title: x\ncheckpoint: {names: [x], form: y, windw: [1, 2]}", "checkpoint: .*windw"),
        ("title: x\ncheckpoint: {names: [x], form: y, window: [0, 2]}", r"checkpoint: .*window\.0"),
        ("title: x\ncheckpoint: {names: [x]}", "checkpoint: .*state what x reads"),
        (
            "title: x\ncheckpoint: {names: [x], template: monot55}",
            r"checkpoint\.template: unknown .*Did you mean 'monot5'",
        ),
        (
            "title: x\ncheckpoint: {names: [x], wording: monot55}",
            r"checkpoint\.wording: unknown .*Did you mean 'monot5'",
        ),
        ("title: x\ncheckpoint: [names]", r"checkpoint\.0"),
    ],
)
def test_a_wrong_file_is_named_with_its_field(text: str, said: str, install: Install) -> None:
    path = install(text)
    with pytest.raises(ConfigError, match=f"(?s){said}") as caught:
        use("puffin-ranker")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "paper: x", "title: x\ntemplate: {}", "title: x\nwording: {}", "title: x\ncheckpoint: {}"])  # fmt: skip
def test_a_wrong_file_takes_no_other_away(text: str, install: Install) -> None:
    known = lists()
    path = install(text)
    with pytest.warns(UserWarning, match=f"left out the checkpoint 'puffin-ranker': {path}"):
        assert lists() == known
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert architecture_named("Qwen3-Reranker-4B") == architectures()["Qwen3-4B"]


@pytest.mark.parametrize(
    ("text", "name", "claimed"),
    [
        (PUFFIN, "qwen3-reranker", "'qwen3-reranker' is claimed by tamis .* and by puffins 1.0"),
        (PUFFIN, "qwen3_reranker", "'qwen3_reranker' is claimed by tamis .* and by puffins 1.0"),
        (PUFFIN, "lexical", r"'lexical' is claimed by tamis \(lexical.yaml\) and by puffins 1\.0 \(lexical.yaml\)"),
        (
            "title: x\ncheckpoint: {names: [Qwen/Qwen3-Reranker-4B], form: y}",
            "x",
            r"Qwen3-Reranker-4B' is claimed by tamis \(qwen3-reranker.yaml\) and by puffins 1\.0 \(x.yaml\)",
        ),
    ],
)
def test_a_name_that_two_files_claim_names_both(text: str, name: str, claimed: str, install: Install) -> None:
    install(text, name)
    with pytest.raises(ConfigError, match=claimed):
        use(name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lists()
    assert any("left out the" in str(warning.message) for warning in caught)


def test_the_wording_that_says_more_of_a_name_is_taken_and_equal_claims_are_refused(install: Install) -> None:
    path = install(PUFFIN.replace("models: [puffin-ranker]", "models: [zerank-1-small, monot5-]"))
    assert wording_for("zeroentropy/zerank-1-small") == wording("puffin-ranker")
    assert wording_for("zeroentropy/zerank-1") == wording("zerank")
    with pytest.raises(
        ConfigError, match=r"castorini/monot5-3b is claimed by .*monot5.yaml and by .*puffin-ranker.yaml"
    ):
        wording_for("castorini/monot5-3b")
    path.unlink()
    assert wording_for("castorini/monot5-3b") == wording("monot5")


@pytest.mark.filterwarnings("error")
def test_every_file_here_is_right_and_states_what_a_model_reads() -> None:
    for name in CHECKPOINTS.names():
        use(name)
        assert published(name).checkpoint or published(name).template, name


def test_a_shape_is_stated_once() -> None:
    """A model of the same shape as another names that one."""
    stated = [architectures()[shape.name] for shape in shapes() if not isinstance(shape.value, str)]
    assert len(set(stated)) == len(stated) > 40


def test_no_file_is_read_before_a_name_is_looked_up() -> None:
    code = (
        "import sys, tamis.compute.architectures as a, tamis.prompts.template, tamis.prompts.wordings; "
        "before = 'yaml' in sys.modules; a.architecture_named('Qwen3-8B'); print(before, 'yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
