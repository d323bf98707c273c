"""What the pages name in a line of text exists: modules and attributes of tamis, commands and their options, files."""

from __future__ import annotations

import pydoc
import re
import shlex
from typing import Any

import pytest

from support.pages import pages
from support.places import ROOT

CODE = re.compile(r"`([^`\n]+)`")


def inline(page: str) -> list[str]:
    return CODE.findall(re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S))


@pytest.mark.parametrize("page", pages())
def test_every_dotted_name_of_tamis_is_there(page: str) -> None:
    named = {name for code in inline(page) for name in re.findall(r"(?<![\w./\"-])tamis(?:\.[A-Za-z_]\w*)+", code)}
    assert [name for name in named if not known(name)] == []


def known(name: str) -> bool:
    from tamis.graph.networks.base_network import NETWORKS
    from tamis.recipes.schema import FAMILIES

    groups = {family.group for family in (*FAMILIES, NETWORKS)} | {"tamis.presets", "tamis.checkpoints"}
    return name in groups or pydoc.locate(name) is not None


@pytest.mark.parametrize("page", pages())
def test_every_command_has_its_options(page: str) -> None:
    typer = pytest.importorskip("typer")
    from tamis.cli.app import app

    for code in inline(page):
        if not re.match(r"tamis [a-z]", code):
            continue
        command: Any = typer.main.get_command(app)
        words = shlex.split(code)[1:]
        while words and hasattr(command, "commands"):
            assert words[0] in command.commands, f"`{code}`: no command {words[0]}"
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if re.match(r"--?[a-z]", word)} <= options, f"`{code}`"


@pytest.mark.parametrize("page", pages())
def test_every_link_to_a_file_leads_to_one(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    linked = {target for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in target}
    assert [target for target in linked if not (ROOT / page).parent.joinpath(target).exists()] == []
