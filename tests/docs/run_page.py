"""Run the blocks of one page: `python run_page.py PAGE REPORT`, in an empty folder. The report is a JSON object of
faults by line."""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import logging
import os
import re
import shlex
import sys
import tomllib
import traceback
import types
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from support.page_files import SERVER, language_model, provide, tamis_command
from support.pages import Block, blocks
from support.places import ROOT
from support.plugins import install, on_path, pretend

ENVIRONMENT = {"OPENAI_API_KEY": "none", "CO_API_KEY": "none", "TOKENIZERS_PARALLELISM": "false"}
"""Keys that are read when a model is made; no block sends one anywhere."""


def run_python(block: Block, page: str, before: dict[str, Any]) -> dict[str, Any]:
    """As a script of its own. Comments that end a block state what it prints, line by line."""
    main = types.ModuleType("__main__")
    main.__dict__.update(before if block.verb == "continue" else {})
    sys.modules["__main__"] = main
    source = "\n" * block.line + block.text
    linecache.cache[page] = (len(source), None, source.splitlines(keepends=True), page)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, page, "exec"), main.__dict__)
    stated = re.search(r"(?:^# .*\n)+\Z", block.text, re.MULTILINE)
    if stated:
        expected = [line.removeprefix("# ") for line in stated[0].splitlines()]
        assert printed.getvalue().splitlines() == expected, f"it prints {printed.getvalue()!r}"
    return main.__dict__


def run_yaml(block: Block) -> None:
    """As a pipeline, whose models are there under every name it calls."""
    import jsonschema

    import tamis
    from tamis.models import CostOnly
    from tamis.recipes.load import model_names

    data = yaml.safe_load(block.text)
    if isinstance(data, dict) and "title" in data:
        run_checkpoint(block)
    else:
        stage = tamis.load(data, allow="all", models={name: CostOnly(name) for name in model_names(data, "all")})
        assert tamis.from_yaml(stage.to_yaml(), allow="all") == stage
        jsonschema.validate(data, tamis.json_schema())


def run_checkpoint(block: Block) -> None:
    """As a checkpoint of an installed package, loaded as a preset. A comment names the file."""
    import tamis
    from tamis.models import CostOnly
    from tamis.recipes.load import model_names

    comment = re.match(r"# (([\w-]+)\.yaml)\n", block.text)
    assert comment, "a checkpoint begins with a comment that names its file"
    folder = "published/checkpoints"
    files = {"published/__init__.py": "", f"{folder}/__init__.py": "", f"{folder}/{comment[1]}": block.text}
    points = {"tamis.checkpoints published": "published.checkpoints"}
    with on_path(pretend(Path("site").absolute(), "published", "1.0", points, files)):
        tamis.load(comment[2], models={name: CostOnly(name) for name in model_names(comment[2])})


def run_shell(block: Block) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words:
            COMMANDS.get(words[0], unknown)(words)


def unknown(words: list[str]) -> None:
    raise AssertionError(f"nobody knows whether this command works: {shlex.join(words)}")


def make_command(words: list[str]) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for word in words[1:]:
        assert "=" in word or word in targets, f"the Makefile has no target {word}"


def pip_command(words: list[str]) -> None:
    from support.installs import check_install

    check_install(words)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "tamis": tamis_command,
    "make": make_command,
    "pip": pip_command,
}


class Noticed(logging.Handler):
    """What tamis logs: a block that runs degraded is no good example."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def write_files(page: str) -> None:
    """Write the blocks that are files, and install the package they are, if they are one."""
    for block in blocks(page):
        if block.verb in ("file", "append"):
            path = Path(block.argument)
            path.parent.mkdir(parents=True, exist_ok=True)
            before = path.read_text(encoding="utf-8") + "\n\n" if block.verb == "append" else ""
            path.write_text(before + block.text, encoding="utf-8")
    if Path("pyproject.toml").exists():
        sys.path.insert(0, str(install(Path.cwd(), Path.cwd().parent / "site")))


def run_all(page: str, url: str) -> dict[int, str]:
    """Faults by line; blocks find the server of language models at `url`."""
    noticed = Noticed()
    logging.getLogger("tamis").addHandler(noticed)
    for message in ("the pipeline does not use", "left out"):
        warnings.filterwarnings("error", message=message)
    faults: dict[int, str] = {}
    names: dict[str, Any] = {}
    for block in blocks(page):
        if block.verb not in ("", "continue"):
            continue
        block = replace(block, text=block.text.replace(SERVER, url))
        try:
            provide(block.text)
            match block.language:
                case "python":
                    names = run_python(block, page, names)
                case "yaml":
                    run_yaml(block)
                case "bash" | "":
                    run_shell(block)
                case "toml":
                    tomllib.loads(block.text)
                case "json":
                    json.loads(block.text)
                case "text":
                    pass
                case other:
                    raise AssertionError(f"a block is python, yaml, bash, toml, json or text, not {other!r}")
            assert not noticed.lines, f"tamis warns: {noticed.lines}"
        except Exception:
            faults[block.line] = traceback.format_exc(limit=-4)
        noticed.lines.clear()
    return faults


def main() -> None:
    page, report = sys.argv[1:]
    os.environ |= ENVIRONMENT
    with language_model() as url:
        os.environ["OPENAI_BASE_URL"] = url
        write_files(page)
        faults = run_all(page, url)
    Path(report).write_text(json.dumps(faults), encoding="utf-8")


if __name__ == "__main__":
    main()
