"""The code blocks of a Markdown page, and what a comment in front of each says is to be done with it.

    <!-- blocks: skip REASON -->      is not run; a reason must be given
    <!-- blocks: file PATH -->        is the file PATH
    <!-- blocks: append PATH -->      goes to the end of the file PATH
    <!-- blocks: load -->             is a pipeline, loaded with stand-ins for the models it names

Without a comment, Python is run, and YAML and TOML are parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"(?:^<!-- blocks: (?P<verb>\w+) ?(?P<rest>.*?) -->\n+)?^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.M | re.S,
)
VERBS = {"", "skip", "file", "append", "load"}
LANGUAGES = {"python", "yaml", "toml"}


@dataclass(frozen=True)
class Block:
    """A block of `language` that begins in `line` of its page; `verb` and `rest`: what its comment says."""

    language: str
    text: str
    line: int
    verb: str = ""
    rest: str = ""


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page in a language that can be run, in order. `ValueError` for a comment nobody understands."""
    for found in FENCE.finditer(page):
        line = page.count("\n", 0, found.start("text"))
        verb, rest = found["verb"] or "", found["rest"] or ""
        if verb not in VERBS or (verb in ("skip", "file", "append") and not rest):
            raise ValueError(f"line {line}: <!-- blocks: {verb} {rest} --> says nothing that can be done")
        if found["language"] in LANGUAGES:
            yield Block(found["language"], found["text"], line, verb, rest)


def write(found: list[Block], folder: Path) -> list[Path]:
    """Write the blocks that are files. Returns the files."""
    files: dict[Path, str] = {}
    for block in found:
        if block.verb in ("file", "append"):
            path = folder / block.rest
            files[path] = (files[path] + "\n\n" if block.verb == "append" else "") + block.text
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files)


def script(found: list[Block]) -> str:
    """A program that runs all Python blocks in order, as one, and loads the pipelines."""
    lines = []
    for block in found:
        if block.language == "python" and not block.verb:
            lines.append(block.text)
        elif block.verb == "load":
            lines.append(LOAD.format(text=block.text))
    return "\n".join(lines)


LOAD = """
def _loaded(text):
    import tamis, yaml
    from tamis.models import CostOnly
    from tamis.recipes.load import model_names
    data = yaml.safe_load(text)
    stage = tamis.load(data, models={{name: CostOnly(name) for name in model_names(data)}})
    assert tamis.from_yaml(stage.to_yaml()) == stage
_loaded({text!r})
"""
