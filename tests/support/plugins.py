"""Other packages that add parts to tamis: installed for a test, and gone after it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tamis.parts.plugins import refresh

UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))


def install(project: Path, target: Path) -> Path:
    """Install a project into a folder, as pip would, without network: uv brings the build backend."""
    options = ("--quiet", "--offline", "--no-deps", "--no-cache", "--python", sys.executable)
    subprocess.run([UV, "pip", "install", *options, "--target", target, project], check=True)
    return target


def pretend(target: Path, name: str, version: str, points: Mapping[str, str], files: Mapping[str, str]) -> Path:
    """A folder that looks as if the package `name` were installed in it. `points`: `"group name"` to value."""
    info = target / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"[{key.split()[0]}]\n{key.split()[1]} = {value}\n" for key, value in points.items()]
    groups: dict[str, list[str]] = {}
    for line in lines:
        header, entry = line.splitlines()
        groups.setdefault(header, []).append(entry)
    (info / "entry_points.txt").write_text("\n".join("\n".join([h, *entries]) for h, entries in groups.items()) + "\n")
    for path, text in files.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text)
    return target


@contextmanager
def on_path(*folders: Path) -> Iterator[None]:
    """The packages installed in `folders` are there inside, and nothing of them is left after."""
    before, path = set(sys.modules), list(sys.path)
    sys.path[:0] = map(str, folders)
    refresh()
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if any(file.startswith(str(folder)) for folder in folders):
                del sys.modules[name]
        refresh()
