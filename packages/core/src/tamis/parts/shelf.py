"""YAML files found by name: those of one folder here, and those of packages that name a folder by entry point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module, resources
from typing import Any

from tamis.errors import ConfigError
from tamis.parts.part import unknown
from tamis.parts.plugins import plugins

ENDING = ".yaml"


@dataclass(frozen=True)
class Shelf:
    """Files `NAME.yaml` of one `kind`.

    `package` and `folder`: where tamis keeps its own. `group`: the entry point group in which another package names one
    of its (sub)packages, whose YAML files join in. Hyphens and underscores in names are the same.
    """

    kind: str
    package: str
    folder: str
    group: str

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _normal(name) in self._files()

    def names(self) -> tuple[str, ...]:
        """In alphabetical order."""
        return tuple(sorted(self._files()))

    def text(self, name: str) -> str:
        """The file called `name`. `ConfigError` for an unknown name, and for one that two packages claim."""
        files = self._files()
        if _normal(name) not in files:
            raise ConfigError(unknown(self.kind, name, files))
        places = files[_normal(name)]
        if len(places) > 1:
            raise ConfigError(
                f"the {self.kind} name {name!r} is claimed by {' and by '.join(places)}. Uninstall one of the "
                "packages, or ask its authors for another name."
            )
        (path,) = places.values()
        return read_text(path)

    def data(self, name: str) -> Any:
        """The file called `name` as plain data."""
        return parse(self.text(name), f"{self.kind} {name!r}")

    def _files(self) -> Mapping[str, Mapping[str, Any]]:
        """For each name, the files of that name by who ships them."""
        folders = {"tamis": resources.files(self.package) / self.folder}
        for plugin in plugins(self.group):
            try:
                folders[str(plugin)] = resources.files(import_module(plugin.value))
            except ImportError as error:
                raise ConfigError(
                    f"the package {plugin} names {plugin.value!r} as a package of {self.kind}s, and it cannot be "
                    f"imported: {error}"
                ) from error
        found: dict[str, dict[str, Any]] = {}
        for owner, folder in folders.items():
            for path in folder.iterdir():
                if path.name.endswith(ENDING):
                    found.setdefault(_normal(path.name.removesuffix(ENDING)), {})[owner] = path
        return found


def _normal(name: str) -> str:
    return name.replace("_", "-")


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

    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {error}") from error
    if data is None:
        raise ConfigError(f"{where} is empty; it must describe a pipeline")
    return data
