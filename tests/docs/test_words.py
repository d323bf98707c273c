"""Words that readers of English as a second language stumble over, and what is written in their place: in the pages,
the command's help, messages and docstrings. Prompts and names are left alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from support.pages import pages
from support.places import ROOT

PLAIN = {
    r"abreast": "at the same time",
    r"[Ss]o many": "N, or that many",
    r"whoever": "the caller",
    r"unless told": "by default",
    r"no say": "does not count",
    r"(?:the|this|a) (?:house|room|wall|floor)": "the package, the layer",
    r"(?:is|are) told\b(?! apart)": "is reported",
    r"(?:after|without|single) (?:a )?blanks?(?! line)": "space",
    r"stands? (?:behind|in front)": "is after, is before",
    r"behind (?:HTTP|it|them|another|any|the last)": "after",
    r"(?:calls?|scores?|vectors?|rows?|requests?|rounds|queries|seconds|tokens|one|once) a "
    r"(?:query|candidate|text|token|pair|second|minute|passage|call|row|batch|system|question|model)(?= and|[,.;:)]|$)": "per",
}
"""What is not written, as a pattern of whole words, and what is."""

WRITTEN = re.compile("|".join(rf"\b(?:{pattern})(?!\w)" for pattern in PLAIN), re.MULTILINE)


def texts() -> Iterator[tuple[str, str]]:
    """Every page, and every text inside the packages' modules, each with where it is."""
    for page in pages():
        yield page, re.sub(r"`[^`]*`", "", (ROOT / page).read_text(encoding="utf-8"))
    for path in sorted((ROOT / "packages").glob("*/src/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def test_pages_help_messages_and_docstrings_use_plain_words() -> None:
    found = [f"{place}: {match[0]!r}" for place, text in texts() for match in WRITTEN.finditer(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("text", ["One `embed` call a text, all", "queries run abreast", "1 call a query.", "after a blank"])  # fmt: skip
def test_what_is_not_written_is_seen(text: str) -> None:
    assert WRITTEN.search(text)


@pytest.mark.parametrize("text", ["tokens a call will cost", "a blank line", "cannot be told apart"])
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert not WRITTEN.search(text)
