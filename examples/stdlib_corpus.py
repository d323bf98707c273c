"""A corpus every machine has: the docstrings of the Python standard library.

The ``.py`` files of the library are parsed with ``ast`` and never imported. Objects written
in C have no such file, so a fixed list of harmless modules is imported to read theirs.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import EnumMeta
from pathlib import Path

MIN_CHARACTERS = 20
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SKIPPED_FOLDERS = {"test", "tests", "idle_test", "__pycache__", "lib2to3", "idlelib", "turtledemo", "_bundled"}
DEPRECATED_TEXT = re.compile(
    r"^\[?(?:Deprecated|DEPRECATED)\b|\.\. deprecated::|\bThis deprecated\b"
    r"|\bTh(?:is|e) (?:class )?(?:interface|method|function|class|module) (?:is|has been) deprecated",
    re.M,
)
DEPRECATED_CALL = re.compile(r"\bDeprecationWarning\b|\b_deprecated\(")
DEPRECATED_DECORATOR = re.compile(r"(?:\w+\.)*_?deprecated\b")

# Private modules whose contents users import from a public module.
PUBLIC_HOMES = {
    "_collections_abc": "collections.abc",
    "concurrent.futures._base": "concurrent.futures",
    "email._policybase": "email.policy",
    "importlib._abc": "importlib.abc",
    "importlib.resources._common": "importlib.resources",
    "importlib.resources._functional": "importlib.resources",
    "importlib.resources._legacy": "importlib.resources",
    "pathlib._local": "pathlib",
    "tomllib._parser": "tomllib",
    "zipfile._path": "zipfile",
}
# Modules with objects written in C, separated by blanks; one missing on this platform is skipped.
C_MODULES = (
    "builtins array atexit binascii bisect bz2 cmath codecs collections contextvars csv ctypes datetime decimal "
    "faulthandler fcntl functools gc hashlib heapq hmac io itertools json locale lzma marshal math mmap msvcrt "
    "operator os pickle pwd queue random re resource select signal socket sqlite3 ssl struct sys syslog termios "
    "threading time tracemalloc types unicodedata warnings weakref winreg zlib zoneinfo"
)
# Modules that C objects name as their own although users import them from another.
C_OWNERS = {
    "builtins": {"io", "_io"},
    "hashlib": {"_hashlib", "_blake2", "_md5", "_sha1", "_sha2", "_sha3", "_sha256", "_sha512"},
    "hmac": {"_hashlib", "_operator"},
    "os": {"posix", "nt"},
    "threading": {"_thread"},
    "types": {"builtins"},
}
C_MEMBERS = (
    types.BuiltinMethodType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
)
REPEATED_TEXTS = {getattr(member, "__doc__", None) for member in vars(object).values()} | {"See PEP 585"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


@dataclass(frozen=True)
class Passage:
    """One docstring; ``metadata`` counts ``length`` in words and ``lines`` in source lines."""

    id: str
    title: str
    text: str
    metadata: dict[str, str | int | bool] = field(default_factory=dict)


@dataclass
class Collection:
    """What was found so far: passages by id, deprecated names, and the names each module imports."""

    passages: dict[str, Passage] = field(default_factory=dict)
    deprecated: set[str] = field(default_factory=set)
    imports: dict[str, set[str]] = field(default_factory=dict)

    def add(self, name: str, signature: str, doc: object, module: str, kind: str, lines: int | None = None) -> None:
        """Keep a docstring; ``lines`` is the object's source lines, None for one written in C."""
        if name in self.passages and lines is None:
            self.deprecated.discard(name)  # Users get the C twin, not the Python fallback that warns.
        text = inspect.cleandoc(doc).strip() if isinstance(doc, str) else ""
        if name in self.passages or len(text) < MIN_CHARACTERS:
            return
        if DEPRECATED_TEXT.search(text):
            self.deprecated.add(name)
        metadata: dict[str, str | int | bool] = {
            "module": module,
            "kind": kind,
            "public": not re.search(r"(?:^|\.)_", f"{module}.{name}"),
            "deprecated": False,
            "length": len(text.split()),
            "examples": ">>>" in text,
            "source": "c" if lines is None else "python",
            "python": PYTHON,
        }
        self.passages[name] = Passage(name, name + signature, text, metadata | ({"lines": lines} if lines else {}))

    def finished(self) -> list[Passage]:
        """Mark what is deprecated, itself or through its module or class, and sort by id."""
        for name, passage in self.passages.items():
            parts = name.split(".")
            prefixes = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
            passage.metadata["deprecated"] = not self.deprecated.isdisjoint(prefixes)
        return [self.passages[name] for name in sorted(self.passages)]


def source_files(root: Path) -> list[tuple[str, Path]]:
    """Module name and path of every library file, the private halves of public modules last."""
    found = []
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        if not SKIPPED_FOLDERS.intersection(parts[:-1]) and all(part.isidentifier() for part in parts):
            found.append((".".join(parts).removesuffix(".__init__"), path))
    return sorted(found, key=lambda item: (item[0] in PUBLIC_HOMES, item[0]))


def definitions(body: list[ast.stmt]) -> Iterator[Definition]:
    """Classes and functions of a module or class body, also those under ``if``, ``try`` and ``with``."""
    for node in body:
        if isinstance(node, Definition):
            yield node
        elif isinstance(node, ast.If | ast.Try | ast.With):
            for part in ("body", "handlers", "orelse", "finalbody"):
                for inner in getattr(node, part, []):
                    yield from definitions(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])


def signature_of(node: Definition, in_class: bool) -> str:
    """The argument list as written, without ``self``; empty for a property or an unknown signature."""
    if isinstance(node, ast.ClassDef):
        starts = [item for item in node.body if isinstance(item, Function) and item.name == "__init__"]
        return signature_of(starts[0], True) if starts else ""
    decorators = {ast.unparse(item).rpartition(".")[2] for item in node.decorator_list}
    if decorators & {"property", "cached_property", "setter", "getter", "deleter"}:
        return ""
    arguments = ast.unparse(node.args)
    if in_class and "staticmethod" not in decorators and not arguments.startswith("*"):
        arguments = re.sub(r"^\w+(, /)?(, )?", "", arguments)
    return f"({arguments})"


def says_deprecated(body: list[ast.stmt], decorators: list[ast.expr]) -> bool:
    """Whether using the object always warns: a decorator, or a warning under no condition."""
    calls = (item for item in body if isinstance(item, ast.Expr) and isinstance(item.value, ast.Call))
    return any(DEPRECATED_DECORATOR.match(ast.unparse(item)) for item in decorators) or any(
        DEPRECATED_CALL.search(ast.unparse(item)) for item in calls
    )


def read_definitions(found: Collection, nodes: Iterable[Definition], parent: str, module: str, in_class: bool) -> None:
    """Collect documented classes, functions and methods, in depth."""
    for node in nodes:
        name = f"{parent}.{node.name}"
        is_class = isinstance(node, ast.ClassDef)
        kind = "class" if is_class else "method" if in_class else "function"
        if not is_class and says_deprecated(node.body, node.decorator_list):
            found.deprecated.add(parent if node.name == "__init__" else name)
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        found.add(name, signature_of(node, in_class), ast.get_docstring(node), module, kind, lines)
        if isinstance(node, ast.ClassDef):
            read_definitions(found, definitions(node.body), name, module, True)


def read_source(found: Collection, module: str, path: Path) -> None:
    """Collect one library file, each object under the name users import it by."""
    source = path.read_bytes()
    tree = ast.parse(source)
    imports = (node.names for node in tree.body if isinstance(node, ast.ImportFrom))
    found.imports[module] = {alias.name for names in imports for alias in names}
    home = PUBLIC_HOMES.get(module, module)
    if says_deprecated(tree.body, []):
        found.deprecated.add(module)
    found.add(home, "", ast.get_docstring(tree), home, "module", source.count(b"\n"))
    for node in definitions(tree.body):
        offered = found.imports.get(home, set()) & {node.name, "*"}
        owner = home if offered else module
        read_definitions(found, [node], owner, owner, False)


def c_signature(item: object) -> str:
    """The argument list of an object written in C, without ``self``; empty when it tells none."""
    text = getattr(item, "__text_signature__", None) or ""
    return " ".join(re.sub(r"^\(\$\w+(, /)?(, )?", "(", text).split())


def read_c_class(found: Collection, name: str, halves: list[type], module: str) -> None:
    """Collect a class written in C with its members; a class of the library may have a C half."""
    for half in halves:
        if not hasattr(half, "_fields") and not isinstance(half, EnumMeta):
            found.add(name, c_signature(half), half.__doc__, module, "class")
        for key, member in sorted(vars(half).items()):
            member = member.__func__ if isinstance(member, staticmethod) else member
            doc = getattr(member, "__doc__", None)
            if isinstance(member, C_MEMBERS) and key not in ("__dict__", "__weakref__") and doc not in REPEATED_TEXTS:
                found.add(f"{name}.{key}", c_signature(member), doc, module, "method")


def read_c_module(found: Collection, module: types.ModuleType, seen: set[int]) -> None:
    """Collect what a module offers that is written in C, each object once; ``seen`` holds their ``id()``."""
    public = module.__name__
    owners = {public, f"_{public}"} | C_OWNERS.get(public, set())
    prefix = "" if public == "builtins" else f"{public}."
    found.add(public, "", module.__doc__, public, "module")
    members = sorted(vars(module).items(), key=lambda pair: (pair[0] != getattr(pair[1], "__name__", ""), pair[0]))
    for name, item in members:
        if inspect.isfunction(item):  # signal.signal and the like are thin wrappers without a docstring.
            item = getattr(sys.modules.get(f"_{public}"), name, item)
        if (name.startswith("_") and name != "__import__") or id(item) in seen:
            continue
        if isinstance(item, type) and item.__module__ in owners:
            bases = (base for base in item.__mro__ if base.__module__ in owners)
            halves = [base for base in bases if base.__name__.lstrip("_") == item.__name__]
            seen.update(map(id, halves))
            read_c_class(found, prefix + name, halves, public)
        elif inspect.isbuiltin(item) and (item.__module__ in owners or item.__module__ is None):
            seen.add(id(item))
            found.add(prefix + name, c_signature(item), item.__doc__, public, "function")


def load_corpus() -> list[Passage]:
    """Every docstring of this machine's standard library, sorted by id; takes a few seconds."""
    found = Collection()
    seen: set[int] = set()
    for module, path in source_files(Path(sysconfig.get_path("stdlib"))):
        read_source(found, module, path)
    for name in C_MODULES.split():
        try:
            read_c_module(found, importlib.import_module(name), seen)
        except ImportError:
            continue
    return found.finished()


def main() -> None:
    """Print one line about the corpus."""
    passages = load_corpus()
    modules = len({passage.metadata["module"] for passage in passages})
    public = sum(bool(passage.metadata["public"]) for passage in passages) / len(passages)
    deprecated = sum(bool(passage.metadata["deprecated"]) for passage in passages) / len(passages)
    print(f"{len(passages)} passages, {modules} modules, {public:.1%} public, {deprecated:.1%} deprecated")


if __name__ == "__main__":
    main()
