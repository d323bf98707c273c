"""Whether an install command of a page or a message works in a clone: the packages are on no index yet."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

from support.places import ROOT

LOCAL = re.compile(r"(\./packages/\w+)(?:\[([\w,-]+)\])?")
NAME = re.compile(r"[\w.-]+")


def check_install(words: Sequence[str]) -> None:
    """Raises `AssertionError` unless `pip install ...` names `.`, folders of ours with extras they have, or packages that
    the workspace itself is tested with."""
    assert words[:2] == ["pip", "install"], words
    given = [word for word in words[2:] if not word.startswith("-") and word != "."]
    assert len(words) > 2, "it installs nothing"
    for word in given:
        local = LOCAL.fullmatch(word)
        if local is None:
            assert NAME.match(word)[0].lower() in tested_with(), f"{word} is neither a folder of ours nor a dependency"
            continue
        project = project_of(local[1])
        extras = set(filter(None, (local[2] or "").split(",")))
        assert extras <= set(project.get("optional-dependencies", {})), f"{local[1]} has no extra {extras}"


def project_of(folder: str) -> dict:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def tested_with() -> set[str]:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    members = [member for group in groups.values() for member in group if isinstance(member, str)]
    return {NAME.match(member)[0].lower() for member in members}
