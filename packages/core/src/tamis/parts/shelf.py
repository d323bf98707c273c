"""YAML files found by name: those of one folder here, and those of packages that name a folder by entry point."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module, resources
from typing import Any

from tamis.errors import ConfigError
from tamis.parts.part import unknown
from tamis.parts.plugins import claimed, normal, plugins

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
            raise ConfigError(self.unknown(name))
        return self._only(name, files)

    def _only(self, name: str, files: Mapping[str, list[tuple[str, Any]]]) -> tuple[str, Any]:
        claims = files[normal(name)]
        if len(claims) > 1:
            raise claimed(self.kind, name, [f"{package} ({path.name})" for package, path in claims])
        return claims[0]

    def _files(self) -> tuple[Mapping[str, list[tuple[str, Any]]], list[str]]:
        """For each name, the packages and paths of the files of that name; and why some packages could not be read."""
        found: dict[str, list[tuple[str, Any]]] = {}
        broken = []
        folders = [(OURS, resources.files(self.package) / self.folder)]
        for plugin in plugins(self.group):
            try:
                folders.append((plugin.package, _folder(plugin.value)))
            except Exception as error:
                broken.append(
                    f"the package {plugin.package} names {plugin.value!r} as a package of {self.kind}s, and that "
                    f"cannot be imported: {type(error).__name__}: {error}"
                )
        for package, folder in folders:
            for path in folder.iterdir():
                if path.name.endswith(ENDING):
                    found.setdefault(normal(path.name.removesuffix(ENDING)), []).append((package, path))
        return found, broken


def _folder(package: str) -> Any:
    module = import_module(package)
    if not hasattr(module, "__path__"):
        raise ImportError(f"{package} is a module, not a package with files in it")
    return resources.files(module)


def read_text(path: Any) -> str:
    """The text of a file. `ConfigError` when it is not UTF-8."""
    try:
        text: str = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}") from None
    return text


def parse(text: str, where: str) -> Any:
    """Plain data from YAML. `ConfigError` naming `where` it comes from when it is none."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # The same in C, ten times as fast.
    try:
        data = yaml.load(text, loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {error}") from error
    if data is None:
        raise ConfigError(f"{where} is empty")
    return data
