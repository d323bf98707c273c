"""Files found by name: those of tamis, and those of packages that name a folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import tamis
from support.plugins import on_path, pretend
from tamis.errors import ConfigError
from tamis.models import CostOnly
from tamis.parts.shelf import parse
from tamis.stage.presets import PRESETS

GOOD = "title: Good\nstage: [lexical]\n"


def presets(folder: Path, name: str = "recipes-of-ours", **files: str) -> Path:
    module = name.replace("-", "_")
    made = {f"{module}/{file}.yaml": text for file, text in files.items()}
    return pretend(folder / name, name, "1.0", {f"tamis.presets {name}": module}, {f"{module}/__init__.py": "", **made})


@pytest.mark.parametrize("name", PRESETS.names())
def test_every_file_is_found_by_its_name_however_it_is_spelt(name: str) -> None:
    for spelt in (name, name.replace("-", "_")):
        assert spelt in PRESETS
        assert PRESETS.data(spelt) == PRESETS.data(name)
        assert PRESETS.package_of(spelt) is None


@pytest.mark.parametrize("name", ["", "rebel.yaml", "../presets/rebel", "Rebel", "rebel ", 3, None])
def test_no_other_name_finds_a_file(name: object) -> None:
    assert name not in PRESETS


def test_a_preset_of_another_package_has_all_spellings_of_its_name(tmp_path: Path) -> None:
    with on_path(presets(tmp_path, our_good_one=GOOD)):
        assert tamis.presets()["our-good-one"] == "Good"
        for spelt in ("our-good-one", "our_good_one", "our-good_one"):
            assert tamis.load(spelt) == tamis.load("lexical")


def test_a_preset_claimed_by_two_packages_is_an_error_that_names_both(tmp_path: Path) -> None:
    one, other = presets(tmp_path, "one", same_name=GOOD), presets(tmp_path, "other", **{"same-name": GOOD})
    with on_path(one, other):
        with pytest.raises(ConfigError, match=r"'same-name' is claimed by one 1\.0 .* and by other 1\.0"):
            tamis.load("same-name")
        with pytest.warns(UserWarning, match=r"left out the preset 'same-name': .*one 1\.0.*other 1\.0"):
            assert "same-name" not in tamis.presets()


def test_a_package_cannot_take_the_name_of_a_built_in_preset(tmp_path: Path) -> None:
    with (
        on_path(presets(tmp_path, "rude", rebel=GOOD)),
        pytest.raises(ConfigError, match=r"'rebel' is claimed by tamis .* and by rude 1\.0 \(rebel.yaml\)"),
    ):
        tamis.load("rebel", models={"llm": CostOnly()})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "preset 'bad' of recipes-of-ours 1.0 is empty"),
        ("- [", "preset 'bad' of recipes-of-ours 1.0 is not valid YAML"),
        ("[lexical]", "preset 'bad' of recipes-of-ours 1.0 must be a mapping with title, stage, got list"),
        ("stage: [lexical]", "preset 'bad' of recipes-of-ours 1.0 has no title; it has stage"),
        ("title: x", "has no stage; it has title"),
        ("title: x\nstage: [lexicl]", "unknown stage 'lexicl'"),
        ("title: x\nstage: [bad]", "preset 'bad' contains itself: bad > bad"),
        ("title: x\nstage: [worse]", "preset 'bad' contains itself: bad > worse > bad"),
    ],
)
def test_a_bad_preset_is_an_error_for_who_uses_it_and_for_nobody_else(text: str, said: str, tmp_path: Path) -> None:
    with on_path(presets(tmp_path, bad=text, worse="title: x\nstage: [bad]", good=GOOD)):
        with pytest.raises(ConfigError, match=re.escape(said)):
            tamis.load(["bad"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            listed = tamis.presets()
            tamis.json_schema()
        assert {"good", "rebel", "lexical"} <= set(listed)
        assert tamis.load("good") == tamis.load("lexical")


def test_a_folder_that_cannot_be_imported_is_reported_and_takes_nothing_away(tmp_path: Path) -> None:
    broken = pretend(tmp_path, "broken", "0.1", {"tamis.presets broken": "broken"}, {"broken/__init__.py": "1 / 0"})
    with on_path(broken):
        assert tamis.rerank("tall mountain", ["a recipe", "a tall mountain"], "lexical").positions == (1, 0)
        with pytest.warns(UserWarning, match=r"left out presets: the package broken 0\.1 names 'broken'.*ZeroDivision"):
            assert "rebel" in tamis.presets()
        with pytest.raises(ConfigError, match=r"unknown pipeline 'ours'.*Not searched: the package broken 0\.1"):
            tamis.load("ours")


@pytest.mark.parametrize("value", ["single", "single:Thing", "single.nowhere", ""])
def test_an_entry_point_that_names_no_package_of_files_is_reported(value: str, tmp_path: Path) -> None:
    files = {"single.py": "class Thing: pass", "stray.yaml": GOOD}
    with on_path(pretend(tmp_path, "single-file", "1", {"tamis.presets x": value}, files)):
        with pytest.warns(UserWarning, match="left out presets: the package single-file 1 names"):
            assert "stray" not in tamis.presets()
        assert tamis.load("rebel", models={"llm": CostOnly()})


def test_the_command_lists_what_it_can_and_names_the_package_of_the_rest(tmp_path: Path) -> None:
    folder = presets(tmp_path, bad="title: Bad\nstage: [lexicl]", good=GOOD, empty="")
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); from tamis.cli import main; sys.exit(main())"
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-c", code, "presets"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "good Good" in said
    assert "cannot be used" in said
    assert "left out the preset 'empty': preset 'empty' of recipes-of-ours 1.0 is empty" in done.stderr
    assert "rebel" in done.stdout


def test_a_preset_named_like_its_package_s_stage_means_that_stage(second_package: Path, tmp_path: Path) -> None:
    with on_path(presets(tmp_path, shout="title: Loud\nstage: [shout]")):
        assert tamis.load("shout") == tamis.load(["shout"]) == tamis.load([{"shout": {}}])


def test_a_preset_named_like_one_of_a_trained_model_is_an_error_that_names_both_packages(tmp_path: Path) -> None:
    with on_path(presets(tmp_path, "rude", monot5=GOOD)):
        with pytest.raises(
            ConfigError, match=r"'monot5' is claimed by rude 1\.0 \(monot5.yaml\) and by tamis \(monot5"
        ) as said:
            tamis.load("monot5")
        assert str(tmp_path) not in str(said.value)


@pytest.mark.parametrize("second", ["ours", "ours [fancy]", " ours"])
def test_a_folder_that_is_named_twice_claims_nothing_twice(second: str, tmp_path: Path) -> None:
    points = {"tamis.presets a": "ours [more, extras]", "tamis.presets b": second}
    with on_path(pretend(tmp_path, "ours", "1.0", points, {"ours/__init__.py": "", "ours/our-good.yaml": GOOD})):
        assert tamis.load("our-good") == tamis.load("lexical")
        assert "our-good" in tamis.presets()


def test_a_folder_whose_package_ends_the_program_takes_nothing_away(tmp_path: Path) -> None:
    leaving = {"leaving/__init__.py": "raise SystemExit(3)"}
    with on_path(pretend(tmp_path, "leaving", "0.1", {"tamis.presets x": "leaving"}, leaving)):
        with pytest.warns(UserWarning, match=r"left out presets: the package leaving 0\.1 .*SystemExit: 3"):
            assert "rebel" in tamis.presets()
        assert tamis.load("lexical")


TAGGED = [
    "!!bool sk-SECRET",
    "!!int ''",
    "!!int sk-SECRET",
    "!!float sk-SECRET",
    "!!timestamp sk-SECRET",
    "!!binary sk-SECRET",
    "!!set {sk-SECRET, b}",
    "!!str sk-SECRET",
    "!own sk-SECRET",
    "!!python/object/apply:os.system [sk-SECRET]",
]
NUMBERS = ["0x" + "f" * 20_000, "1:" * 20_000 + "1", "9" * 5_000, "0b" + "1" * 5_000, "1." + "0" * 5_000, "2001-99-99"]


@pytest.mark.parametrize("value", [*TAGGED, *NUMBERS], ids=lambda value: value[:20])
@pytest.mark.parametrize("written", ["- top_n: {{n: {}}}", "- top_n: [{}]", "{}", "{}: 1", "- lexical: {{zzz: {}}}"])
def test_what_yaml_cannot_make_is_an_error_of_ours_without_the_value(value: str, written: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tamis.from_yaml(written.format(value))
    message = str(caught.value)
    assert "SECRET" not in message
    assert len(message) < 400
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_text_of_digits_and_long_text_are_no_long_numbers() -> None:
    quoted = "9" * 100
    assert parse(f"a: '{quoted}'\nb: {'1234567890 ' * 10}x\nc: 0.25\n", "it") == {
        "a": quoted,
        "b": "1234567890 " * 10 + "x",
        "c": 0.25,
    }
