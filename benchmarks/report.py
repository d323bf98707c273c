"""What every benchmark shares: interleaved timing, tables, and a result file that says where its numbers come from."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

RESULTS = Path(__file__).parent / "results"


def interleaved(runs: Mapping[str, Callable[[int], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each run. Every repeat times all of them in turn, so that noise meets them alike.

    Each is called with the number of the repeat; repeat 0 warms up and is not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run(repeat)
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    return {name: median(found) for name, found in seconds.items()}


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table, aligned so that it also reads as plain text."""
    cells = [[str(cell) for cell in row] for row in (head, ["---"] * len(head), *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    cells[1] = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    )


def ms(seconds: float) -> str:
    """
    >>> ms(0.0123), ms(0.5)
    ('12.3', '500')
    """
    return f"{seconds * 1e3:.0f}" if seconds >= 0.1 else f"{seconds * 1e3:.3g}"


def save(name: str, title: str, packages: Sequence[str], *parts: str) -> None:
    """Print the result and write it to `results/<name>.md`, with how it was made on top."""
    made = [
        f"# {title}",
        "",
        f"- Command: `{' '.join(['python', f'benchmarks/{Path(sys.argv[0]).name}', *sys.argv[1:]])}`",
        f"- Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- Python {platform.python_version()} on {sys.platform}, {os.cpu_count()} cores (shared: ratios say more than "
        "times)",
        f"- Packages: {', '.join(f'{package} {version(package)}' for package in packages)}",
    ]
    text = "\n".join(made) + "\n\n" + "\n\n".join(parts) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)
