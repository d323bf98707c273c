"""What other installed packages add to tamis, found by their entry points."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import invalidate_caches
from typing import Any

from tamis.errors import ConfigError

PREFIX = "tamis."
"""Every group of entry points that tamis reads begins so."""
_HEADING = re.compile(rb"^[\s\xff\xfe]*\[\s*tamis\.", re.MULTILINE)
_TARGET = re.compile(r"[\w.]+\s*(:\s*[\w.]+)?")


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
        return f"{self.distribution} {self.version}".strip()

    @property
    def target(self) -> str:
        """What it names, `module` or `module:Class`, without extras (`[fancy]`), which are for installers."""
        return self.value.partition("[")[0].strip()

    @property
    def module(self) -> str:
        """The module that is imported for it."""
        return self.target.partition(":")[0].strip()

    def __str__(self) -> str:
        return f"{self.package} ({self.value})"

    def load(self) -> Any:
        """The object it names. `ConfigError` that names the package when it cannot be imported."""
        from importlib.metadata import EntryPoint

        named = f"the package {self.package} names {self.value!r} as {self.group} {self.name!r}, and that"
        if not _TARGET.fullmatch(self.target):
            raise ConfigError(f"{named} is not written as module:Class")
        try:
            return EntryPoint(self.name, self.target, self.group).load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # A module that calls sys.exit() must not end a program that only looks at it.
            raise ConfigError(f"{named} cannot be imported: {type(error).__name__}: {error}") from error


def plugins(group: str, name: str | None = None, *, fresh: bool = False) -> tuple[Plugin, ...]:
    """Entry points of `group`, all or those called `name`.

    Packages installed since the last look are found by the times of the folders on `sys.path`. `fresh`: look again
    whatever these say, since an installer may still have been writing.
    """
    if fresh:
        refresh()
    known = _installed(_folders()).get(group, ())
    return known if name is None else tuple(plugin for plugin in known if plugin.name == name)


def refresh() -> None:
    """Look again at what is installed, the next time it matters."""
    invalidate_caches()
    _installed.cache_clear()


_Folder = tuple[str, int, int]


def _folders() -> tuple[_Folder, ...]:
    """Where Python looks for packages, each folder with its number and the time it last changed."""
    return tuple(_stamped(folder) for folder in sys.path if isinstance(folder, str))


def _stamped(folder: str) -> _Folder:
    try:
        state = os.stat(folder or os.curdir)
    except OSError:
        return folder, 0, 0
    return folder, state.st_ino, state.st_mtime_ns


@lru_cache(maxsize=1)
def _installed(folders: tuple[_Folder, ...]) -> Mapping[str, tuple[Plugin, ...]]:
    """Entry points by group, ordered by package. Of a package that is found twice, the one that Python imports.

    Metadata that cannot be read is skipped. Where it names tamis, a warning says which folder holds it.
    """
    from importlib.metadata import Distribution

    path = [folder for folder, *_ in folders]
    names = {name for package in Distribution.discover(path=path) if (name := _named(package)) is not None}
    found: dict[str, dict[Plugin, None]] = {}
    for name in sorted(names):
        package = next(one for one in Distribution.discover(name=name, path=path) if _stated(one, "Name"))
        for point in _points(package):
            plugin = Plugin(normal(point.name), point.value, point.group, name, _stated(package, "Version"))
            found.setdefault(point.group, {})[plugin] = None
    return {group: tuple(own) for group, own in found.items()}


def _named(package: Any) -> str | None:
    """The name of a package that adds something to tamis; `None` for any other, and for one that cannot be read."""
    points: list[Any]
    try:
        points, problem = _points(package), ""
    except UnicodeDecodeError as error:
        # Without NULs, which every second byte is in a file of UTF-16.
        points = _HEADING.findall(bytes(error.object).replace(b"\0", b""))
        problem = f"is not UTF-8 text: {error.reason}"
    except Exception as error:
        points, problem = _HEADING.findall(_text(package)), f"cannot be read: {type(error).__name__}: {error}"
    if not points:
        return None
    name = _stated(package, "Name")
    if problem:
        problem = f"entry_points.txt {problem}"
    elif not name:
        problem = "METADATA is missing or has no Name"
    else:
        return name
    where = getattr(package, "_path", None) or name or "an installed package"
    warnings.warn(f"left out what {where} adds to tamis: its {problem}. Install that package again.", stacklevel=2)
    return None


def _points(package: Any) -> list[Any]:
    return [point for point in package.entry_points if point.group.startswith(PREFIX)]


def _text(package: Any) -> bytes:
    try:
        return (package.read_text("entry_points.txt") or "").encode("utf-8", "replace")
    except Exception:
        return b""


def _stated(package: Any, key: str) -> str:
    """A line of a package's METADATA; empty where there is none."""
    try:
        return str(package.metadata[key] or "")
    except Exception:
        return ""


def normal(name: Any) -> Any:
    """A name of a part or a preset as it is compared: hyphens and underscores are the same. Anything else unchanged."""
    return name.replace("-", "_") if isinstance(name, str) else name


def claimed(kind: str, name: str, claims: list[str]) -> ConfigError:
    """The error for a name that several packages have given to different things."""
    return ConfigError(
        f"the {kind} name {name!r} is claimed by {' and by '.join(claims)}. Uninstall one of the packages, or ask its "
        "authors for another name."
    )
