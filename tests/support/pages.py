"""The fenced code blocks of the pages people read.

A comment in front of a block says what it is:

    <!-- blocks: continue -->          goes on from the Python block above, with its names
    <!-- blocks: file PATH -->         is the file PATH; a page with a pyproject.toml is installed before it runs
    <!-- blocks: append PATH -->       goes to the end of the file PATH
    <!-- blocks: skip REASON -->       is not run, for this reason

Without a comment a block is run as its language says (`docs/run_page.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from support.places import ROOT

PAGES = ("README.md", "docs/*.md", "packages/*/README.md", "examples/**/*.md")
COMMENT = re.compile(r"<!-- blocks:(?P<words>.*?)-->")
ARGUMENTS = {"continue": False, "file": True, "append": True, "skip": True}
"""The words a comment may begin with, and whether something must follow."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line of the page before its first line, and what its comment says:
    a word and its argument."""

    language: str
    text: str
    line: int
    verb: str = ""
    argument: str = ""


def pages() -> list[str]:
    """Their paths from the root of the repository."""
    found = {path.relative_to(ROOT).as_posix() for pattern in PAGES for path in ROOT.glob(pattern)}
    return sorted(found)


def blocks(page: str | Path) -> Iterator[Block]:
    """All blocks of a page by its path, in order, those of lists among them."""
    return read(Path(ROOT, page).read_text(encoding="utf-8"))


def read(text: str) -> Iterator[Block]:
    """The blocks of a page's text. `ValueError` for a comment nobody understands."""
    said = ("", "")
    for token in MarkdownIt().parse(text):
        if token.type == "fence":
            assert token.map is not None
            yield Block(token.info.strip(), token.content, token.map[0] + 1, *said)
        said = comment(token.content) if token.type == "html_block" else ("", "")


def comment(text: str) -> tuple[str, str]:
    found = COMMENT.match(text)
    if found is None:
        return "", ""
    verb, _, argument = found["words"].strip().partition(" ")
    if ARGUMENTS.get(verb) is not bool(argument):
        raise ValueError(f"{found[0]} says nothing that can be done")
    return verb, argument
