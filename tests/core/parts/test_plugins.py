"""What other packages add is found where it is installed, and two that claim one name are both named."""

from __future__ import annotations

from pathlib import Path

import pytest

import tamis
from support.plugins import on_path, pretend
from tamis.errors import ConfigError
from tamis.parts.plugins import plugins, refresh

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
