"""What other installed packages add to tamis, found by their entry points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from tamis.errors import ConfigError

PREFIX = "tamis."


@dataclass(frozen=True)
class Plugin:
    """One entry point: `name = value` in the group of a family, in the package `distribution` of version `version`."""

    name: str
    value: str
    group: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.value})"

    def load(self) -> Any:
        """The object it names. `ConfigError` that names the package when it cannot be imported."""
        from importlib.metadata import EntryPoint

        try:
            return EntryPoint(self.name, self.value, self.group).load()
        except Exception as error:
            raise ConfigError(
                f"the package {self.distribution} {self.version} names {self.value!r} as {self.group} {self.name!r}, "
                f"and that cannot be imported: {type(error).__name__}: {error}"
            ) from error


def plugins(group: str, name: str | None = None, *, fresh: bool = False) -> tuple[Plugin, ...]:
    """Entry points of `group`, all or those called `name`. `fresh`: also of packages installed since the first look."""
    if fresh:
        _installed.cache_clear()
    known = _installed().get(group, ())
    return known if name is None else tuple(plugin for plugin in known if plugin.name == name)


@lru_cache(maxsize=1)
def _installed() -> Mapping[str, tuple[Plugin, ...]]:
    from importlib.metadata import distributions

    found: dict[str, dict[str, tuple[Plugin, ...]]] = {}
    for package in distributions():
        points = [point for point in package.entry_points if point.group.startswith(PREFIX)]
        for group in {point.group for point in points}:
            name, version = package.metadata["Name"], package.version
            own = tuple(Plugin(normal(p.name), p.value, group, name, version) for p in points if p.group == group)
            found.setdefault(group, {}).setdefault(name, own)
    return {group: tuple(chain.from_iterable(owns[name] for name in sorted(owns))) for group, owns in found.items()}


def normal(name: str) -> str:
    """A name of a part as it is registered: hyphens are underscores."""
    return name.replace("-", "_")
