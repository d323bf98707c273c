"""Names of parts: one each, read back to the same class, and clear about what cannot be used."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tamis
from support.plugins import on_path, pretend
from tamis.errors import ConfigError
from tamis.models import CostOnly
from tamis.parts.family import Family, families, snake
from tamis.parts.part import part, unknown
from tamis.recipes.load import anonymous, model_names
from tamis.recipes.schema import FAMILIES
from tamis.stage.base import STAGES, Stage, steps
from tamis.stage.presets import PRESETS

EVERY = [(family, name) for family in families() for name in family.members]
each_family = pytest.mark.parametrize("family", families(), ids=lambda family: family.kind)
each_member = pytest.mark.parametrize(("family", "name"), EVERY, ids=lambda value: getattr(value, "kind", value))

ODD = {
    "missing": ("odd.nowhere:Thing", "cannot be imported: ModuleNotFoundError"),
    "absent": ("odd.parts:Nothing", "cannot be imported: AttributeError"),
    "crash": ("odd.crash:Thing", "cannot be imported: ZeroDivisionError"),
    "garbage": ("not a place", "is not written as module:Class"),
    "empty": ("", "is not written as module:Class"),
    "leaving": ("odd.leaving:Thing", "cannot be imported: SystemExit: 3"),
    "function": ("odd.parts:function", "must name a class, not function"),
    "stranger": ("odd.parts:Stranger", "is not a stage: derive Stranger from tamis.extend.Stage"),
    "abstract": ("odd.parts:Abstract", "is not a whole stage: Abstract has to define plan"),
    "bare": ("odd.parts:Bare", "is not a part: put the decorator tamis.extend.part on Bare"),
    "inheriting": ("odd.parts:Inheriting", "is not a part: put the decorator tamis.extend.part on Inheriting"),
}
PARTS = """
from tamis import Lexical
from tamis.extend import Stage, part
class Stranger: pass
class Abstract(Stage): pass
class Bare(Stage):
    def plan(self, ranking): yield from (); return ranking
class Inheriting(Lexical):
    extra: int = 3
@part
class Whole(Stage):
    n: int = 1
    def plan(self, ranking):
        yield from ()
        return ranking
class Shape: pass
@part
class Undescribed(Whole):
    shape: Shape = Shape()
@part
class Unresolved(Whole):
    shape: "NotThere" = None
def function(): pass
"""
FILES = {
    "odd/__init__.py": "",
    "odd/parts.py": PARTS,
    "odd/crash.py": "1 / 0",
    "odd/leaving.py": "raise SystemExit(3)",
}


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A package whose stages cannot be used, but for one."""
    points = {f"tamis.stages {name}": value for name, (value, _) in ODD.items()}
    points |= {
        f"tamis.stages {name}": f"odd.parts:{name.capitalize()}" for name in ("whole", "undescribed", "unresolved")
    }
    return pretend(tmp_path, "odd-parts", "0.3", points, FILES)


@each_member
def test_a_name_and_its_class_are_each_others_inverse(family: Family, name: str) -> None:
    cls = family.resolve(name)
    assert family.name_of(cls) == name
    assert family.resolve(name.replace("_", "-")) is cls
    assert name in family
    assert family.package_of(cls) is None


@each_family
def test_a_class_has_one_name(family: Family) -> None:
    classes = [family.resolve(name) for name in family.members]
    assert len(set(classes)) == len(classes)
    for cls in classes:
        for guess in {snake(cls.__name__), cls.__name__} - {family.name_of(cls)}:
            assert guess not in family


@each_family
def test_what_is_public_and_of_the_family_has_a_name(family: Family) -> None:

    package = import_module(family.package)
    classes = [cls for cls in (getattr(package, name) for name in package.__all__) if isinstance(cls, type)]
    assert {cls for cls in classes if family._is_member(cls)} == set(map(family.resolve, family.members))


def test_snake_case_keeps_built_in_names_apart() -> None:
    for family in families():
        names = [family.resolve(name).__name__ for name in family.members]
        assert len(set(map(snake, names))) == len(set(names))


@given(st.lists(st.from_regex(r"[A-Z][a-z]+[0-9]?", fullmatch=True), min_size=1, max_size=4))
def test_snake_case_joins_the_words_of_a_name(words: list[str]) -> None:
    assert snake("".join(words)) == "_".join(words).lower()


@each_member
def test_a_name_with_a_letter_missing_finds_its_way(family: Family, name: str) -> None:
    if len(name) > 4:
        with pytest.raises(ConfigError, match=f"unknown {family.kind} {name[:-1] + '_x'!r}. Did you mean"):
            family.resolve(name[:-1] + "_x")


@pytest.mark.parametrize("wrong", ["TopN", "top-n", "topn", "TOP_N", "tpo_n"])
def test_how_words_are_joined_does_not_hide_the_nearest_name(wrong: str) -> None:
    assert "Did you mean 'top_n'?" in unknown("stage", wrong, ["cover", "top_n", "threshold"])


def test_a_name_that_others_contain_finds_the_shortest_of_them() -> None:
    known = ["dynamicrag", "cross-encoder-dynamic-k", "my-cross-encoder-dynamic-k", "listwise"]
    assert "Did you mean 'cross-encoder-dynamic-k'?" in unknown("preset", "dynamic-k", known)
    assert "Did you mean" not in unknown("preset", "e-k", known)
    with pytest.raises(ConfigError, match=r"Did you mean 'cross-encoder-dynamic-k'.*is written \[dynamic-k\]"):
        tamis.load("dynamic-k")


@given(st.one_of(st.none(), st.integers(), st.lists(st.integers()), st.dictionaries(st.integers(), st.none())))
def test_what_is_no_description_is_a_config_error(value: Any) -> None:
    for family in FAMILIES:
        with pytest.raises(ConfigError):
            family.build(value)


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="stage 'lexical': b is given twice"):
        tamis.load([{"lexical": {"b": 0.1}, "b": 0.2}])
    with pytest.raises(ConfigError, match="stage 'top_n': n is given twice"):
        tamis.load([{"top_n": 1, "n": 2}])


@pytest.mark.parametrize("name", ODD)
def test_a_part_that_cannot_be_used_names_its_package_and_the_reason(name: str, odd: Path) -> None:
    with on_path(odd), pytest.raises(ConfigError, match=rf"odd-parts 0\.3.*{ODD[name][1]}"):
        tamis.load([{name: {}}])


def test_parts_that_cannot_be_used_take_nothing_else_away(odd: Path) -> None:
    with on_path(odd):
        assert tamis.rerank("tall mountain", ["a recipe", "a tall mountain"], "lexical").positions == (1, 0)
        stage = tamis.load(["whole", "lexical"])
        assert tamis.from_yaml(stage.to_yaml()) == stage
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            schema = tamis.json_schema()
        said = [str(warning.message) for warning in caught]
        assert len(said) == len(ODD) + 2
        assert all("odd-parts 0.3" in one for one in said)
        for name in (*ODD, "undescribed", "unresolved"):
            assert any(f"left out the stage {name!r}" in one for one in said)
        validator = jsonschema.Draft202012Validator(schema)
        assert validator.is_valid(["lexical", "whole", {"whole": {"n": 2}}])
        assert not validator.is_valid(["bare"])
        with pytest.raises(ConfigError, match="unknown stage 'barre'. Did you mean 'bare'"):
            tamis.load([{"barre": {}}])


def test_a_part_whose_annotation_has_no_meaning_is_a_config_error_however_it_is_made(odd: Path) -> None:
    with on_path(odd):
        with pytest.raises(
            ConfigError, match=r"odd\.parts\.Unresolved of odd-parts 0\.3 cannot .*'NotThere'.* annotate"
        ):
            tamis.load(["unresolved"])
        with pytest.raises(ConfigError, match=r"odd\.parts\.Unresolved cannot be made .*NotThere.* annotate"):
            STAGES.resolve("unresolved")()


def test_a_class_named_by_the_module_that_imports_it_has_its_name_too(tmp_path: Path) -> None:
    files = {"front/__init__.py": "from front.back import Whole", "front/back.py": PARTS}
    with on_path(pretend(tmp_path, "front", "1", {"tamis.stages whole": "front:Whole"}, files)):
        stage = tamis.load([{"whole": {"n": 3}}])
        assert stage.to_data() == [{"whole": {"n": 3}}]


def test_to_name_a_class_no_other_package_is_imported(tmp_path: Path) -> None:
    files = {"heavy/__init__.py": PARTS, "light/__init__.py": "", "light/inner.py": PARTS, "light/front.py": "from light.inner import Whole"}  # fmt: skip
    points = {"tamis.stages heavy": "heavy:Whole", "tamis.stages light": "light.front:Whole"}
    with on_path(pretend(tmp_path, "both", "1", points, files)):
        stage = import_module("light.inner").Whole(2)
        assert stage.to_data() == {"light": {"n": 2}}
        assert "heavy" not in sys.modules


def test_a_stage_without_an_entry_point_runs_and_says_how_it_gets_a_name() -> None:
    @part
    class Mine(Stage):
        def plan(self, ranking: Any) -> Any:
            yield from ()
            return ranking

    assert Mine().rerank("q", ["a", "b"]).positions == (0, 1)
    with pytest.raises(ConfigError, match=r"Mine cannot be written as data.*entry point.*docs/extending\.md"):
        Mine().to_yaml()


BOTH = [name for name in PRESETS.names() if name in STAGES]


def test_some_names_are_a_preset_and_a_stage() -> None:
    assert {"lexical", "rebel", "cross-encoder", "listwise"} <= set(BOTH)


@pytest.mark.parametrize("name", BOTH)
def test_a_preset_called_like_a_stage_is_that_stage_with_its_models(name: str) -> None:
    (stage,) = steps(anonymous(name))
    options = {model: CostOnly(model) for model in model_names(name)}
    fields = {f: model for f, value in vars(stage).items() if isinstance(value, CostOnly) for model in [value.name]}
    assert stage == STAGES.build({name: fields}, {"models": options, "used": set()})


@pytest.mark.parametrize("name", PRESETS.names())
def test_hyphens_and_underscores_are_the_same_in_the_name_of_a_preset(name: str) -> None:
    for spelt in (name.replace("-", "_"), [name], [name.replace("-", "_")]):
        assert steps(anonymous(spelt)) == steps(anonymous(name))


def test_a_preset_may_not_hide_a_different_stage(tmp_path: Path) -> None:
    files = {"hide/__init__.py": "", "hide/first-stage.yaml": "title: x\nstage: [lexical, {top_n: 3}]"}
    with on_path(pretend(tmp_path, "hide", "1", {"tamis.presets hide": "hide"}, files)):
        with pytest.raises(ConfigError, match=r"'first_stage' is a preset of hide 1 and a different stage of tamis"):
            tamis.load(["first_stage"])
        assert tamis.load([{"first_stage": {}}]) == tamis.load([tamis.FirstStage()])
