"""`tamis presets`: the ready pipelines."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console

from tamis.cli import options
from tamis.errors import TamisError
from tamis.recipes.cards import describe
from tamis.recipes.load import anonymous, model_names
from tamis.recipes.load import presets as titles
from tamis.stage.presets import PRESETS


def presets(
    action: Annotated[str | None, typer.Argument(help="`show`, to see one.")] = None,
    name: Annotated[str | None, typer.Argument(help="Which one.")] = None,
) -> None:
    """List the ready pipelines, or show one: `tamis presets show NAME`."""
    if action is None:
        _list()
    elif action == "show" and name:
        options.say(Console(), describe(name))
    else:
        raise typer.BadParameter("use `tamis presets` or `tamis presets show NAME`")


def _list() -> None:
    console = Console()
    named = titles()
    needs = {name: _needs(name) for name in named}
    width = max(map(len, named))
    first = True
    for group, about in GROUPS.items():
        names = [name for name, need in needs.items() if need.group == group]
        if not names:
            continue
        options.say(console, ("" if first else "\n") + about)
        for name in names:
            package = PRESETS.package_of(name)
            of = f"  {package}" if package else ""
            lead = f"  {name:<{width}}  "
            options.say(console, lead + short(named[name], console.width - len(lead) - len(of)) + of)
        first = False
    for name, need in needs.items():
        if need.fault:
            options.say(console, f"\n{name} cannot be used: {need.fault}")
    options.say(console, "\nOne in full, with what it costs: tamis presets show NAME")


GROUPS = {
    "nothing": "Without a model",
    "encoder": "With an encoder: an embedder, a cross-encoder or a rerank service",
    "llm": "With a language model",
    "fault": "Not to be used",
}
"""What pipelines need, the least first."""
LONGEST_NAME = 45
"""Characters of the name of a method; a longer text before brackets says more than they do."""
FEW = 3
"""Passages that show which models a preset asks, and how."""
READ_BY_ENCODERS = frozenset({"classify", "embed", "embed_tokens", "score_list"})


@dataclass(frozen=True, slots=True)
class Need:
    """What a preset cannot do without, or why it cannot be used."""

    group: str
    fault: str = ""


def _needs(name: str) -> Need:
    try:
        models = model_names(name)
        steps = anonymous(name).explanation(FEW).steps
    except TamisError as error:
        return Need("fault", fault=str(error))
    except Exception as error:  # A part of another package may have any fault.
        return Need("fault", fault=repr(error))
    asked = {one.capability for step in steps for one in step.asks}
    if asked - READ_BY_ENCODERS or (models and not asked):
        return Need("llm")
    return Need("encoder" if asked else "nothing")


def short(title: str, width: int) -> str:
    """What a title says in one line: what it explains in brackets, else itself, cut between clauses or words.

    >>> short("AcuRank (asks only about those in doubt)", 40)
    'asks only about those in doubt'
    >>> short("AcuRank (asks only about what is in doubt, and stops early)", 40)
    'asks only about what is in doubt'
    """
    name, _, rest = title.partition(" (")
    said = rest.removesuffix(")") if rest and len(name) <= LONGEST_NAME else name
    if len(said) <= width:
        return said
    ends = [found.start() for found in re.finditer(r"[,;:] | - ", said) if width // 2 <= found.start() <= width]
    return said[: ends[-1]] if ends else textwrap.shorten(said, max(width, 12), placeholder=" ...")
