"""How long `import tamis` takes in a fresh process, what it loads, and the time to a first result."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

from report import interleaved, ms, save, table

REPEATS = 15
HEAVY = ("torch", "transformers", "onnxruntime", "llama_index", "langchain_core", "haystack", "numpy", "httpx")
STEPS = {
    "pass": "pass",
    "import numpy": "import numpy",
    "import pydantic": "import pydantic; pydantic.BaseModel",
    "import tamis": "import tamis",
    "every public name of tamis": "from tamis import *",
    "first `tamis.rerank` result": "import tamis; tamis.rerank('tall mountain', ['a recipe', 'a tall mountain']).kept",
}


def process(code: str) -> Callable[[int], object]:
    return lambda repeat: subprocess.run([sys.executable, "-c", code], check=True)


def loaded(code: str) -> set[str]:
    """Modules in memory after `code`."""
    tell = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", tell], check=True, capture_output=True, text=True).stdout
    return set(json.loads(output))


def main() -> None:
    seconds = interleaved({name: process(code) for name, code in STEPS.items()}, REPEATS)
    nothing = loaded("pass")
    rows: list[list[object]] = []
    for name, code in STEPS.items():
        more = loaded(code) - nothing
        heavy = [module for module in HEAVY if module in more]
        rows.append(
            [
                name,
                ms(seconds[name]),
                ms(max(0.0, seconds[name] - seconds["pass"])),
                len(more),
                ", ".join(heavy) or "none",
            ]
        )
    light = loaded(STEPS["import tamis"]).isdisjoint(HEAVY)
    save(
        "imports",
        "Import time",
        ("tamis", "pydantic", "numpy"),
        f"Wall time of a fresh process each, median of {REPEATS} interleaved runs.",
        table(["process", "ms", "ms above `pass`", "modules more", "of the heavy ones"], rows),
        f"`import tamis` loads none of {', '.join(HEAVY)}: {'true' if light else 'FALSE'}.",
    )


if __name__ == "__main__":
    main()
