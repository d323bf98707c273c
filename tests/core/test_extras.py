"""Whatever an optional import names as its extra exists and installs it, and no import of such a package is left bare."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from support.places import ROOT

CORE = ROOT / "packages" / "core"
PROJECT = tomllib.loads((CORE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTIONS = packages_distributions()
FOUND_FIRST = {"engine/trace.py": "opentelemetry"}
"""Where a package is looked for, and done without where it is not there."""
COMMAND = {"typer", "rich", "click"}
"""What the entry point of the command says is missing, for all its modules."""


def normal(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


BASE = {*map(normal, PROJECT["dependencies"]), "pydantic-core"}
EXTRAS = {extra: set(map(normal, wanted)) for extra, wanted in PROJECT["optional-dependencies"].items()}
FILES = {
    file.relative_to(CORE / "src" / "tamis").as_posix(): file
    for file in sorted((CORE / "src").rglob("*.py"))
    if file.name != "errors.py"
}
each = pytest.mark.parametrize("name", FILES)


def providers(module: str) -> set[str]:
    """The packages that provide a module; itself where nothing installed does."""
    top = module.partition(".")[0]
    return set(map(normal, DISTRIBUTIONS.get(top, [top])))


def optional(module: str) -> bool:
    top = module.partition(".")[0]
    return top not in sys.stdlib_module_names and top != "tamis" and not providers(module) & BASE


def calls(node: ast.AST, *names: str) -> Iterator[ast.Call]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id in names:
            yield inner


def modules(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def imports(body: list[ast.stmt], extra: str | None = None) -> Iterator[tuple[str, int, str | None]]:
    """Every import that runs, its line, and the extra that a `with installed(...)` around it names."""
    for node in body:
        for module in modules(node):
            yield module, node.lineno, extra
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imports(node.orelse, extra)
            continue
        named = extra
        if isinstance(node, ast.With):
            for call in calls(node.items[0].context_expr, "installed"):
                named = ast.literal_eval(call.args[1])
        for field in ("body", "orelse", "finalbody"):
            yield from imports(getattr(node, field, []), named)
        for handler in getattr(node, "handlers", []):
            yield from imports(handler.body, named)


@each
def test_an_import_that_may_fail_names_an_extra_that_brings_the_package(name: str) -> None:
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    for module, line, extra in imports(tree.body):
        if not optional(module) or FOUND_FIRST.get(name) == module:
            continue
        if name.startswith("cli/") and module.partition(".")[0] in COMMAND:
            extra = "eval"
        assert extra in EXTRAS, f"{name}:{line} imports {module} without `installed` or `needed`"
        assert providers(module) & EXTRAS[extra], f"{name}:{line}: the extra {extra!r} does not bring {module}"
    for call in calls(tree, "needed"):
        module, extra = ast.literal_eval(call.args[0]), ast.literal_eval(call.args[2])
        assert providers(module) & EXTRAS[extra], f"{name}:{call.lineno}: {extra!r} does not bring {module}"
    for call in calls(tree, "installed", "MissingExtra"):
        assert ast.literal_eval(call.args[1]) in EXTRAS, f"{name}:{call.lineno}"


def test_the_scan_finds_what_there_is() -> None:
    trees = [ast.parse(Path(file).read_text(encoding="utf-8")) for file in FILES.values()]
    assert sum(len(list(calls(tree, "needed"))) for tree in trees) > 30
    assert sum(extra is not None for tree in trees for _, _, extra in imports(tree.body)) > 10
