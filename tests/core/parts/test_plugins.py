"""What other packages add is found where it is installed, and two that claim one name are both named."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tamis
from support.plugins import on_path, pretend
from tamis.errors import ConfigError
from tamis.parts.plugins import plugins, refresh
from tamis.stage.presets import PRESETS

WHOLE = """
from tamis.extend import Policy, part
@part
class All(Policy):
    def count(self, scores): return len(scores)
@part
class None_(Policy):
    def count(self, scores): return 0
"""


def package(folder: Path, name: str, version: str, points: dict[str, str]) -> Path:
    module = name.replace("-", "_")
    points = {f"tamis.policies {key}": f"{module}:{value}" for key, value in points.items()}
    return pretend(folder / name, name, version, points, {f"{module}/__init__.py": WHOLE})


def test_a_name_claimed_by_two_packages_is_an_error_that_names_both(tmp_path: Path) -> None:
    one = package(tmp_path, "one-package", "1.0", {"every-one": "All"})
    other = package(tmp_path, "other-package", "2.5", {"every_one": "None_"})
    with on_path(one, other):
        with pytest.raises(
            ConfigError, match=r"'every_one' is claimed by one-package 1\.0 .* and by other-package 2\.5"
        ):
            tamis.load([{"dynamic_k": "every_one"}])
        with pytest.warns(UserWarning, match="left out the policy 'every_one': .*one-package 1.0.*other-package 2.5"):
            schema = tamis.json_schema()
        assert "every_one" not in str(schema)
        assert "policy.knee" in schema["$defs"]


def test_a_package_cannot_take_a_built_in_name(tmp_path: Path) -> None:
    with on_path(package(tmp_path, "rude", "1.0", {"knee": "All"})):
        with pytest.raises(
            ConfigError, match=r"'knee' is claimed by tamis \(tamis\..*\) and by rude 1\.0 \(rude:All\)"
        ):
            tamis.load([{"dynamic_k": "knee"}])
        assert tamis.load([{"dynamic_k": "largest_gap"}]).to_data() == [{"dynamic_k": {}}]


def test_a_class_under_two_names_of_one_package_has_both(tmp_path: Path) -> None:
    with on_path(package(tmp_path, "twice", "1.0", {"all": "All", "every": "All"})):
        assert tamis.load([{"dynamic_k": "all"}]) == tamis.load([{"dynamic_k": "every"}])


def test_of_a_package_found_twice_the_one_that_python_imports_counts(tmp_path: Path) -> None:
    new = package(tmp_path / "new", "same", "2.0", {"everything": "All"})
    old = package(tmp_path / "old", "same", "1.0", {"everything": "All", "gone": "All"})
    with on_path(new, old):
        assert [(one.name, one.version) for one in plugins("tamis.policies")] == [("everything", "2.0")]


def test_a_package_installed_while_the_process_runs_is_found(tmp_path: Path) -> None:
    with on_path(tmp_path):
        assert plugins("tamis.policies") == ()
        pretend(tmp_path, "late", "1.0", {"tamis.policies late": "late:All"}, {"late.py": WHOLE})
        assert tamis.load([{"dynamic_k": "late"}]).to_data() == [{"dynamic_k": {"policy": {"late": {}}}}]


def test_groups_of_other_programs_are_not_read(tmp_path: Path) -> None:
    with on_path(pretend(tmp_path, "foreign", "1", {"tamisx.policies a": "x:Y", "console_scripts b": "x:Y"}, {})):
        assert plugins("tamis.policies") == plugins("tamisx.policies") == plugins("console_scripts") == ()


def test_nothing_is_added_in_the_environment_of_the_tests() -> None:
    refresh()
    assert plugins("tamis.stages") == plugins("tamis.presets") == ()


BROKEN = {
    "a line without a value": b"[{group}]\nfoo\n",
    "no UTF-8": b"\xff\xfe\n[{group}]\nx = a:B\n",
    "UTF-16": "[{group}]\nx = a:B\n".encode("utf-16"),
}


def damaged(folder: Path, group: str, how: bytes | None) -> Path:
    """A package with broken metadata: `how` is its list of entry points; `None`: a good one without METADATA."""
    pretend(folder, "damaged", "1.0", {f"{group} x": "a:B"}, {})
    info = folder / "damaged-1.0.dist-info"
    if how is None:
        (info / "METADATA").unlink()
    else:
        wide = how.startswith(b"\xff\xfe[")
        text = how.decode("utf-16" if wide else "latin-1").replace("{group}", group)
        (info / "entry_points.txt").write_bytes(text.encode("utf-16" if wide else "latin-1"))
    return folder


broken = pytest.mark.parametrize("how", [*BROKEN.values(), None], ids=[*BROKEN, "no METADATA"])


@broken
def test_a_broken_package_that_has_nothing_to_do_with_tamis_does_not_matter(how: bytes | None, tmp_path: Path) -> None:
    bad, good = damaged(tmp_path / "bad", "console_scripts", how), package(tmp_path, "good", "1.0", {"all": "All"})
    with on_path(bad, good), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tamis.rerank("tall", ["a", "tall"]).positions == (1, 0)
        assert tamis.load([{"dynamic_k": "all"}]).to_yaml()
        assert "lexical" in tamis.presets()
        assert tamis.json_schema()


@broken
def test_a_broken_package_that_adds_to_tamis_is_left_out_with_a_warning(how: bytes | None, tmp_path: Path) -> None:
    with on_path(damaged(tmp_path / "bad", "tamis.stages", how), package(tmp_path, "good", "1.0", {"all": "All"})):
        with pytest.warns(UserWarning, match=r"left out what .*damaged-1\.0\.dist-info adds to tamis: its "):
            assert tamis.load([{"dynamic_k": "all"}]).to_yaml()
        assert [str(one) for one in plugins("tamis.policies")] == ["good 1.0 (good:All)"]


def test_a_package_without_a_version_is_named_without_one(tmp_path: Path) -> None:
    folder = package(tmp_path, "bare", "1.0", {"all": "All"})
    (folder / "bare-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: bare\n")
    with on_path(folder):
        assert [one.package for one in plugins("tamis.policies")] == ["bare"]


LATE = """
from tamis import Lexical
from tamis.extend import part
@part
class Later(Lexical): pass
"""


WAYS: dict[str, Callable[[str, Any], bool]] = {
    "stage": lambda name, cls: isinstance(tamis.load([{f"{name}_stage": {}}]).stages[0], cls()),  # type: ignore[attr-defined]
    "preset": lambda name, cls: tamis.load(f"{name}-preset") == tamis.load([{f"{name}_stage": {}}]),
    "preset as step": lambda name, cls: tamis.load([f"{name}-preset", "lexical"]).to_data()[0] == {f"{name}_stage": {}},
    "presets": lambda name, cls: f"{name}-preset" in tamis.presets(),
    "package": lambda name, cls: PRESETS.package_of(f"{name}-preset") == f"{name} 1.0",
    "yaml": lambda name, cls: cls()().to_data() == {f"{name}_stage": {}},
    "schema": lambda name, cls: f"stage.{name}_stage" in tamis.json_schema()["$defs"],
    "explanation": lambda name, cls: cls()().explanation(3).steps[0].package == f"{name} 1.0",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_package_installed_late_is_seen_whichever_way_one_looks(way: str, tmp_path: Path) -> None:
    name = f"late{[*WAYS].index(way)}"
    with on_path(tmp_path):
        assert not plugins("tamis.stages") + plugins("tamis.presets")
        points = {f"tamis.stages {name}_stage": f"{name}:Later", f"tamis.presets {name}": f"{name}.presets"}
        files = {
            f"{name}/__init__.py": LATE,
            f"{name}/presets/__init__.py": "",
            f"{name}/presets/{name}-preset.yaml": f"title: x\nstage: [{name}_stage]\n",
        }
        pretend(tmp_path, name, "1.0", points, files)
        assert WAYS[way](name, lambda: importlib.import_module(name).Later)


def test_extras_of_an_entry_point_are_for_installers(tmp_path: Path) -> None:
    with on_path(package(tmp_path, "fancy", "1.0", {"all": "All [extra, more]"})):
        stage = tamis.load([{"dynamic_k": "all"}])
        assert tamis.from_yaml(stage.to_yaml()) == stage


def test_what_cannot_be_read_back_is_not_written(tmp_path: Path) -> None:
    one = package(tmp_path, "one-package", "1.0", {"both": "All"})
    other = package(tmp_path, "other-package", "2.5", {"both": "All", "mine": "All"})
    with on_path(one, other):
        first, second = (importlib.import_module(name).All() for name in ("one_package", "other_package"))
        with pytest.raises(ConfigError, match=r"'both' is claimed by one-package 1\.0 .* and by other-package 2\.5"):
            tamis.DynamicK(first).to_yaml()
        stage = tamis.DynamicK(second)
        assert tamis.from_yaml(stage.to_yaml()) == stage
