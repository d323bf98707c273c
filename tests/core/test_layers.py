"""Imports of the core run down and never in a circle: those inside functions, and those through a package's stub, too.

The contract in `.importlinter` sees neither names that a package loads lazily nor circles inside a layer; this does.
"""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from support.places import ROOT

SOURCE = ROOT / "packages" / "core" / "src"
EXCEPTION = ("tamis.values.ranking", "tamis.view.picture")
"""A notebook shows a ranking: the one import that runs up, made when a notebook asks."""

Graph = Mapping[str, set[str]]


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_of(file): file for file in sorted(SOURCE.rglob("*.py"))}


@cache
def lazily(package: str) -> Mapping[str, str]:
    """The module behind each name that a package, or a module with a stub, loads when it is asked for."""
    stub = FILES[package].with_suffix(".pyi")
    if not stub.exists():
        return {}
    home = package if FILES[package].name == "__init__.py" else package.rpartition(".")[0]
    froms = [node for node in ast.parse(stub.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    return {alias.name: f"{home}.{node.module}" for node in froms for alias in node.names if node.level}


def imported(tree: ast.AST, *, types: bool) -> Iterator[str]:
    """The modules of tamis that a module imports, wherever in it. `types`: also where only type checkers look."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not types:
            for other in node.orelse:
                yield from imported(ast.Module([other], []), types=types)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FILES)
        elif isinstance(node, ast.ImportFrom) and node.module in FILES:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in FILES else lazily(node.module).get(alias.name, node.module)
        yield from imported(node, types=types)


@cache
def graph(types: bool) -> Graph:
    trees = {module: ast.parse(file.read_text(encoding="utf-8")) for module, file in FILES.items()}
    return {module: set(imported(tree, types=types)) - {module} for module, tree in trees.items()}


def circles(arrows: Graph) -> dict[str, set[str]]:
    """The modules on a circle, or between two, with what they import of each other: what is left when those that
    import nothing left, and those that nothing left imports, are taken away again and again."""
    left = {module: set(others) for module, others in arrows.items()}
    while True:
        used = {other for others in left.values() for other in others}
        inner = {module: others & left.keys() for module, others in left.items() if module in used}
        inner = {module: others for module, others in inner.items() if others}
        if inner == left:
            return left
        left = inner


def layers() -> dict[str, int]:
    """For each name in the contract, how high it is; those on one line are equally high."""
    contract = configparser.ConfigParser()
    contract.read(ROOT / ".importlinter")
    lines = contract["importlinter:contract:layers"]["layers"].split("\n")
    lines = [line for line in lines if line.strip()]
    return {name.strip(): len(lines) - place for place, line in enumerate(lines) for name in line.split("|")}


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_no_import_goes_in_a_circle() -> None:
    arrows = {module: others - {EXCEPTION[1]} if module == EXCEPTION[0] else others for module, others in graph(False).items()}  # fmt: skip
    assert circles(arrows) == {}


def test_no_import_runs_up_or_to_a_neighbour() -> None:
    height = layers()
    arrows = [(one, other) for one, others in graph(True).items() for other in others]
    up = [
        (one, other)
        for one, other in arrows
        if layer(one) in height
        and layer(one) != layer(other)
        and layer(other) in height
        and height[layer(other)] >= height[layer(one)]
    ]
    assert up == [EXCEPTION]


def test_every_package_and_module_has_a_layer() -> None:
    assert {layer(module) for module in FILES} - layers().keys() == {"", "extend"}


def test_the_exception_is_still_needed() -> None:
    assert EXCEPTION[1] in graph(False)[EXCEPTION[0]]


def test_circles_are_found() -> None:
    arrows: Graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}
    assert circles(arrows) == {"a": {"b"}, "b": {"c"}, "c": {"a"}}
    assert circles({"a": {"b"}, "b": set()}) == {}


def test_an_import_through_a_stub_and_inside_a_function_is_found() -> None:
    code = "def f():\n    from tamis.judges import Labels\n    import tamis.errors\n    from tamis import Lexical"
    found = set(imported(ast.parse(code), types=False))
    assert found == {"tamis.judges.labels", "tamis.errors", "tamis.rankers.lexical"}
    guarded = ast.parse("if TYPE_CHECKING:\n    import tamis.cli\nelse:\n    import tamis.errors")
    assert set(imported(guarded, types=False)) == {"tamis.errors"}
    assert set(imported(guarded, types=True)) == {"tamis.errors", "tamis.cli"}
