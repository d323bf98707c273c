"""What other installed packages add to tamis, found by their entry points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tamis.errors import ConfigError

PREFIX = "tamis."
"""Every group of entry points that tamis reads begins so."""


@dataclass(frozen=True)
class Plugin:
    """One entry point: `name = value` in `group`, of the installed package `distribution` in `version`."""

    name: str
    value: str
    group: str
    distribution: str
    version: str

    @property
    def package(self) -> str:
        """The package and its version, as messages name it."""
        return f"{self.distribution} {self.version}"

    @property
    def module(self) -> str:
        """The module that is imported for it."""
        return self.value.partition(":")[0].strip()

    def __str__(self) -> str:
        return f"{self.package} ({self.value})"

    def load(self) -> Any:
        """The object it names. `ConfigError` that names the package when it cannot be imported."""
        from importlib.metadata import EntryPoint

        try:
            return EntryPoint(self.name, self.value, self.group).load()
        except Exception as error:
            raise ConfigError(
                f"the package {self.package} names {self.value!r} as {self.group} {self.name!r}, and that cannot be "
                f"imported: {type(error).__name__}: {error}"
            ) from error


def plugins(group: str, name: str | None = None, *, fresh: bool = False) -> tuple[Plugin, ...]:
    """Entry points of `group`, all or those called `name`. `fresh`: also of packages installed since the first look."""
    if fresh:
        refresh()
    known = _installed().get(group, ())
    return known if name is None else tuple(plugin for plugin in known if plugin.name == name)


def refresh() -> None:
    """Look again at what is installed, the next time it matters."""
    _installed.cache_clear()


@lru_cache(maxsize=1)
def _installed() -> Mapping[str, tuple[Plugin, ...]]:
    """Entry points by group, ordered by package. Of a package that is found twice, the one that Python imports."""
    from importlib.metadata import distribution, distributions

    found: dict[str, dict[Plugin, None]] = {}
    for name in sorted({package.name for package in distributions() if any(map(_ours, package.entry_points))}):
        package = distribution(name)
        for point in filter(_ours, package.entry_points):
            plugin = Plugin(normal(point.name), point.value, point.group, name, package.version)
            found.setdefault(point.group, {})[plugin] = None
    return {group: tuple(own) for group, own in found.items()}


def _ours(point: Any) -> bool:
    group: str = point.group
    return group.startswith(PREFIX)


def normal(name: Any) -> Any:
    """A name of a part or a preset as it is compared: hyphens and underscores are the same. Anything else unchanged."""
    return name.replace("-", "_") if isinstance(name, str) else name


def claimed(kind: str, name: str, claims: list[str]) -> ConfigError:
    """The error for a name that several packages have given to different things."""
    return ConfigError(
        f"the {kind} name {name!r} is claimed by {' and by '.join(claims)}. Uninstall one of the packages, or ask its "
        "authors for another name."
    )
