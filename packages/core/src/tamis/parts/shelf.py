"""YAML files found by name: those of one folder here, and those of packages that name a folder by entry point."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from tamis.errors import ConfigError
from tamis.parts.part import unknown
from tamis.parts.plugins import Plugin, claimed, normal, plugins, refresh

ENDING = ".yaml"
OURS = "tamis"


@dataclass(frozen=True)
class Shelf:
    """Files `NAME.yaml` of one `kind`.

    `package` and `folder`: where tamis keeps its own. `group`: the entry point group in which another package names one
    of its (sub)packages, whose YAML files join in. `needs`: the keys every file must have. Hyphens and underscores in
    names are the same.
    """

    kind: str
    package: str
    folder: str
    group: str
    needs: tuple[str, ...] = ()

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and normal(name) in self._files()[0]

    def names(self) -> tuple[str, ...]:
        """All names with hyphens, in alphabetical order. Packages whose files cannot be listed are left out, with a
        warning."""
        files, broken = self._files()
        for problem in broken:
            warnings.warn(f"left out {self.kind}s: {problem}", stacklevel=2)
        return tuple(sorted(name.replace("_", "-") for name in files))

    def readable(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Name and content of each file, by name. One that cannot be read is left out with a warning that names its
        package, so that one broken package does not take the others away."""
        for name in self.names():
            try:
                yield name, self.data(name)
            except ConfigError as error:
                warnings.warn(f"left out the {self.kind} {name!r}: {error}", stacklevel=2)

    def paths(self) -> Iterator[tuple[str, Any]]:
        """Name and path of each file, by name. A name that two packages claim is left out with a warning, too."""
        files, _ = self._files()
        for name in self.names():
            try:
                yield name, self._only(name, files)[1]
            except ConfigError as error:
                warnings.warn(f"left out the {self.kind} {name!r}: {error}", stacklevel=2)

    def path(self, name: str) -> Any:
        """Where the file called `name` is. `ConfigError` for an unknown name, and for one that two packages claim."""
        return self._file(name)[1]

    def package_of(self, name: str) -> str | None:
        """The other package that brings the file called `name`, with its version; `None` for one of tamis's own."""
        package = self._file(name)[0]
        return None if package == OURS else package

    def claims(self, name: str) -> list[str]:
        """All files called `name`, each with its package."""
        files, _ = self._files()
        return [f"{package} ({path.name})" for package, path in files.get(normal(name), ())]

    def data(self, name: str) -> Mapping[str, Any]:
        """The file called `name` as plain data. `ConfigError` naming its package when it lacks what it needs."""
        package = self._file(name)[0]
        where = f"{self.kind} {name!r}" + ("" if package == OURS else f" of {package}")
        data = parse(read_text(self.path(name)), where)
        if not isinstance(data, Mapping):
            raise ConfigError(f"{where} must be a mapping with {', '.join(self.needs)}, got {type(data).__name__}")
        if missing := [key for key in self.needs if key not in data]:
            raise ConfigError(
                f"{where} has no {' and no '.join(missing)}; it has {', '.join(map(str, data)) or 'nothing'}"
            )
        return data

    def unknown(self, name: str, kind: str = "") -> str:
        """A message for a name that no file has, with the nearest one, and with the packages that could not be
        searched."""
        broken = self._files()[1]
        problems = "".join(f" Not searched: {problem}." for problem in broken)
        return unknown(kind or self.kind, name, self.names()) + problems

    def _file(self, name: str) -> tuple[str, Any]:
        """The package and the path of the file called `name`."""
        files, _ = self._files()
        if normal(name) not in files:
            refresh()
            files, _ = self._files()
        if normal(name) not in files:
            raise ConfigError(self.unknown(name))
        return self._only(name, files)

    def _only(self, name: str, files: Mapping[str, list[tuple[str, Any]]]) -> tuple[str, Any]:
        if len(found := files[normal(name)]) > 1:
            raise claimed(self.kind, name, self.claims(name))
        return found[0]

    def _files(self) -> tuple[Mapping[str, list[tuple[str, Any]]], list[str]]:
        """For each name, the packages and paths of the files of that name; and why some packages could not be read."""
        found: dict[str, list[tuple[str, Any]]] = {}
        broken = []
        folders = [(OURS, list((resources.files(self.package) / self.folder).iterdir()))]
        for plugin in {plugin.target: plugin for plugin in plugins(self.group)}.values():
            try:
                folders.append((plugin.package, _inside(plugin)))
            except ConfigError as error:
                broken.append(str(error))
        for package, paths in folders:
            for path in paths:
                if path.name.endswith(ENDING):
                    found.setdefault(normal(path.name.removesuffix(ENDING)), []).append((package, path))
        return found, broken


def _inside(plugin: Plugin) -> list[Any]:
    """What is in the package that `plugin` names."""
    module = plugin.load()
    try:
        if not hasattr(module, "__path__"):
            raise TypeError("it is not a package with files in it")
        return list(resources.files(module).iterdir())
    except Exception as error:
        raise ConfigError(
            f"the package {plugin.package} names {plugin.value!r} as {plugin.group} {plugin.name!r}, and that cannot "
            f"be listed: {error}"
        ) from error


MOST_BYTES = 2**20
"""Of a YAML text."""
DEEPEST = 64
"""Levels of lists and mappings in a description."""
MOST_VALUES = 100_000
"""Values in a description, those that aliases repeat included."""
LONGEST_NUMBER = 64
"""Characters of a number in YAML."""
MOST_BITS = 1024
"""Of a whole number in a description: more fit into no float."""


def read_text(path: Any) -> str:
    """The text of a file. `ConfigError` when it is not UTF-8, or too long to be a description."""
    try:
        with path.open("rb") as file:
            content: bytes = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ConfigError(f"{path} has more than {MOST_BYTES:,} bytes")
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def parse(text: str, where: str) -> Any:
    """Plain data from YAML. `ConfigError` naming `where` it comes from when it is none, or larger than a description
    is: `MOST_BYTES`, `DEEPEST`, `MOST_VALUES`, `LONGEST_NUMBER`. Tags (`!!int`) are refused: a description needs none.
    Nothing of the text is in the error, since there may be keys in it."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # The same in C, ten times as fast.
    try:
        if len(text) > MOST_BYTES or len(text.encode("utf-8")) > MOST_BYTES:
            raise ConfigError(f"{where} has more than {MOST_BYTES:,} bytes")
        _measure(yaml.parse(text, loader), where)
        data = yaml.load(text, loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        raise ConfigError(f"{where} is not valid YAML: {place}{problem:.200}") from None
    except ConfigError:
        raise
    except Exception as error:  # Constructors of YAML raise whatever Python does, with the value in the message.
        raise ConfigError(f"{where} holds a value that cannot be read ({type(error).__name__})") from None
    if data is None:
        raise ConfigError(f"{where} is empty")
    return data


def _measure(events: Iterable[Any], where: str) -> None:
    """`ConfigError` for YAML that would become larger than a description is, before anything is made of it."""
    from yaml import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []
    values = 0
    for event in events:
        line = event.start_mark.line + 1
        if getattr(event, "tag", None) is not None:
            raise ConfigError(f"{where} has a tag in line {line}; write values without tags (!)")
        if isinstance(event, CollectionStartEvent):
            values += 1
            open_.append((event.anchor, values))
            if len(open_) > DEEPEST:
                raise ConfigError(f"{where} is nested more than {DEEPEST} levels deep")
            if event.anchor:
                sizes.pop(event.anchor, None)
        elif isinstance(event, CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor:
                sizes[anchor] = values - before + 1
        elif isinstance(event, ScalarEvent):
            values += 1
            if len(event.value) > LONGEST_NUMBER and event.implicit[0] and _is_number(event.value):
                raise ConfigError(
                    f"{where} holds a number of more than {LONGEST_NUMBER} characters in line {line}; put quotes "
                    "around it if it is text"
                )
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_) and event.anchor not in sizes:
                raise ConfigError(f"{where}: the alias *{event.anchor} contains itself")
            values += sizes.get(event.anchor or "", 1)
        if values > MOST_VALUES:
            raise ConfigError(f"{where} holds more than {MOST_VALUES:,} values, repeated ones included")


def _is_number(plain: str) -> bool:
    """Whether YAML reads what is written without quotes as a number."""
    from yaml import SafeLoader

    kinds = {
        tag.rpartition(":")[2]
        for tag, form in SafeLoader.yaml_implicit_resolvers.get(plain[0], ())
        if form.match(plain)
    }
    return not kinds.isdisjoint({"int", "float"})


def check_size(data: Any) -> None:
    """`ConfigError` for plain data that is nested deeper or holds more values than a description does, or itself, or a
    number of more than `MOST_BITS`."""
    left = MOST_VALUES
    todo: list[tuple[Any, int]] = [(data, 0)]
    while todo:
        value, depth = todo.pop()
        left -= 1
        if left < 0:
            raise ConfigError(f"the pipeline holds more than {MOST_VALUES:,} values, repeated ones included")
        if depth > DEEPEST:
            raise ConfigError(f"the pipeline is nested more than {DEEPEST} levels deep, or contains itself")
        if isinstance(value, int) and value.bit_length() > MOST_BITS:
            raise ConfigError(f"the pipeline holds a number of more than {MOST_BITS:,} bits")
        if isinstance(value, Mapping):
            todo += [(item, depth + 1) for pair in value.items() for item in pair]
        elif isinstance(value, (list, tuple, set, frozenset)):
            todo += [(item, depth + 1) for item in value]
