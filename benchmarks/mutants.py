"""Do the tests notice small faults? A seeded sample of faults is planted, one at a time, in a copy of the tree.

`make mutants`, or `python benchmarks/mutants.py --per-package 16 --seed 7`. `mutants.toml` says which files there are,
which tests must notice what is planted in each, which faults are equivalent, and which once went unnoticed: those
are planted in every run. `--minutes 4` ends early; the next run goes on from there. What was noticed is not tried again
while its file is as it was (`--fresh`: it is); what survived is tried again when tests have changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutation import Mutant, replaced, sample
from planting import Outcome, Tree
from report import save, table

ROOT = Path(__file__).parents[1]
SOURCES = Path("packages/core/src/tamis")
WORK = ROOT / ".cache" / "mutants"


@dataclass(frozen=True)
class Plan:
    """`mutants.toml`."""

    packages: Mapping[str, Mapping[str, Any]]
    tests: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The tests of a file where they are others than those of its package."""
    equivalent: Sequence[Mapping[str, str]] = ()
    once_unnoticed: Sequence[Mapping[str, str]] = ()

    def files(self, package: str) -> list[str]:
        found: set[str] = set()
        for pattern in self.packages[package]["files"]:
            found |= {path.relative_to(ROOT / SOURCES).as_posix() for path in (ROOT / SOURCES).glob(pattern)}
        return sorted(path for path in found if not path.endswith("__init__.py"))

    def tests_of(self, package: str, path: str) -> tuple[str, ...]:
        return tuple(self.tests.get(path, self.packages[package]["tests"]))

    def reason(self, mutant: Mutant) -> str | None:
        """Why a fault changes nothing, if it is known to."""
        for known in self.equivalent:
            if (known["file"], known["was"], known["now"]) == (mutant.path, mutant.was, mutant.now):
                return known["reason"]
        return None


@dataclass(frozen=True)
class Trial:
    package: str
    mutant: Mutant
    tests: tuple[str, ...]
    known: bool = False
    """Whether it once went unnoticed."""


def trials(plan: Plan, packages: Sequence[str], per_package: int, seed: int) -> Iterator[Trial]:
    """The known faults of every file, and `per_package` drawn ones or a few more, as many in each file."""
    for package in packages:
        files = plan.files(package)
        per_file = -(-per_package // len(files))
        for path in files:
            source = (ROOT / SOURCES / path).read_text(encoding="utf-8")
            for known in plan.once_unnoticed:
                if known["file"] == path:
                    mutant = replaced(path, source, known["was"], known["now"])
                    if mutant is None:
                        print(f"not in {path} any more: {known['was']}", file=sys.stderr)
                    else:
                        yield Trial(package, mutant, (known["test"],), known=True)
            for mutant in sample(path, source, per_file, seed):
                yield Trial(package, mutant, plan.tests_of(package, path))


class Memory:
    """Outcomes of earlier runs, by the mutated file, and for survivors by the tests too."""

    def __init__(self, path: Path, fresh: bool) -> None:
        self.path = path
        self._kept: dict[str, dict[str, Any]] = {}
        if path.exists() and not fresh:
            self._kept = json.loads(path.read_text(encoding="utf-8"))

    def get(self, trial: Trial, tests: str) -> Outcome | None:
        kept = self._kept.get(self._key(trial))
        if kept is None or (not kept["by"] and kept["tests"] != tests):
            return None
        return Outcome(kept["by"])

    def put(self, trial: Trial, tests: str, outcome: Outcome) -> None:
        self._kept[self._key(trial)] = {"fault": str(trial.mutant), "by": outcome.by, "tests": tests}
        self.path.write_text(json.dumps(self._kept, indent=1), encoding="utf-8")

    @staticmethod
    def _key(trial: Trial) -> str:
        said = "\0".join((trial.mutant.path, trial.mutant.code, *trial.tests))
        return hashlib.sha256(said.encode()).hexdigest()[:16]


def run(plan: Plan, wanted: Sequence[Trial], tree: Tree, memory: Memory, until: float) -> dict[Trial, Outcome | None]:
    """The outcome of every trial; `None` where time ran out."""
    found: dict[Trial, Outcome | None] = {}
    for number, trial in enumerate(wanted, 1):
        if not trial.known and plan.reason(trial.mutant):
            continue
        tests = tree.digest(trial.tests)
        outcome = memory.get(trial, tests)
        if outcome is None and time.monotonic() < until:
            outcome = tree.tried(SOURCES / trial.mutant.path, trial.mutant.code, trial.tests)
            memory.put(trial, tests, outcome)
            print(f"{number}/{len(wanted)} {'noticed' if outcome.by else 'SURVIVED'} {trial.mutant}", flush=True)
        found[trial] = outcome
    return found


def report(plan: Plan, wanted: Sequence[Trial], found: Mapping[Trial, Outcome | None]) -> list[str]:
    rows: list[list[object]] = []
    for package in [*dict.fromkeys(trial.package for trial in wanted), "all"]:
        mine = [trial for trial in wanted if package in (trial.package, "all") and not trial.known]
        tried = [outcome for trial in mine if (outcome := found.get(trial)) is not None]
        noticed = sum(bool(outcome.by) for outcome in tried)
        files = len({trial.mutant.path for trial in mine})
        equivalent = sum(plan.reason(trial.mutant) is not None for trial in mine)
        share = f"{100 * noticed / len(tried):.0f} %" if tried else "-"
        left = len(mine) - equivalent - len(tried)
        rows.append([package, files, len(mine), equivalent, left, noticed, len(tried) - noticed, share])
    head = ["package", "files", "drawn", "equivalent", "not tried yet", "noticed", "survived", "noticed of those tried"]
    survivors = [trial for trial, outcome in found.items() if outcome and not outcome.by and not trial.known]
    known = [trial for trial in wanted if trial.known]
    alike = {trial.mutant: reason for trial in wanted if (reason := plan.reason(trial.mutant)) is not None}
    return [
        "Each fault changes one operator, constant, condition, loop or `except` of one file (cosmic-ray's operators, "
        "without those that fail wherever they are). Noticed: a test that belongs to the file fails, or takes five "
        "times as long as without the fault and over 30 s. Equivalent: no input gives another result, or what changes "
        "is promised to nobody; each with its reason in `mutants.toml`.",
        table(head, rows),
        "## Survivors",
        table(["fault"], [[_fault(trial.mutant)] for trial in survivors]) if survivors else "None in this sample.",
        "## Faults that once went unnoticed",
        "Planted in every run; each against the one test that was written for it.",
        table(
            ["fault", "test", "noticed"],
            [
                [_fault(trial.mutant), f"`{trial.tests[0].removeprefix('tests/core/')}`", _said(found.get(trial))]
                for trial in known
            ],
        ),
        "## Equivalent faults of this sample",
        table(["fault", "why"], [[_fault(mutant), reason] for mutant, reason in alike.items()]) if alike else "None.",
    ]


def _said(outcome: Outcome | None) -> str:
    return "not tried" if outcome is None else "yes" if outcome.by else "**no**"


def _fault(mutant: Mutant) -> str:
    was, now = (text.replace("|", "\\|") for text in (mutant.was, mutant.now))
    return f"{mutant.path}: `{was}` becomes `{now}`"


def main() -> None:
    plan = Plan(**tomllib.loads((Path(__file__).parent / "mutants.toml").read_text(encoding="utf-8")))
    options = argparse.ArgumentParser(description="Plant small faults and see whether tests notice them.")
    options.add_argument(
        "--per-package", type=int, default=16, metavar="N", help="faults per package, at least one per file"
    )
    options.add_argument("--seed", type=int, default=7, help="which faults are drawn")
    options.add_argument("--only", nargs="+", choices=plan.packages, help="only these packages; nothing is saved")
    options.add_argument("--minutes", type=float, default=1e6, help="end after so long; the next run goes on")
    options.add_argument("--fresh", action="store_true", help="try again what earlier runs have tried")
    chosen = options.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    wanted = list(trials(plan, chosen.only or [*plan.packages], chosen.per_package, chosen.seed))
    tree = Tree(ROOT, WORK / "tree")
    memory = Memory(WORK / "outcomes.json", chosen.fresh)
    found = run(plan, wanted, tree, memory, time.monotonic() + 60 * chosen.minutes)
    parts = report(plan, wanted, found)
    if chosen.only:
        print("\n\n".join(parts), "\n\nNot saved: some packages only.")
    else:
        save("mutants", "Small faults, and whether tests notice them", ["tamis", "cosmic-ray", "pytest"], *parts)
    if any(outcome and not outcome.by for outcome in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
