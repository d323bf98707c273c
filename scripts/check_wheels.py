"""Build the four wheels, install each in an environment of its own, import it there and rerank.

python scripts/check_wheels.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
TRY = {
    "core": "import tamis; print(tamis.rerank('tall mountain', ['a recipe', 'a tall mountain']).positions)",
    "llamaindex": "from llama_index.postprocessor.tamis import TamisRerank as R; print(R('lexical', top_n=1))",
    "langchain": "from langchain_tamis import TamisCompressor as R; print(R('lexical', top_n=1))",
    "haystack": "from haystack_integrations.components.rankers.tamis import TamisRanker as R; print(R('lexical'))",
}
TYPED = {
    "core": "tamis/py.typed",
    "llamaindex": "llama_index/postprocessor/tamis/py.typed",
    "langchain": "langchain_tamis/py.typed",
    "haystack": "haystack_integrations/components/rankers/tamis/py.typed",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        dist = Path(folder, "dist")
        for name in TRY:
            run(sys.executable, "-m", "build", "--wheel", "--outdir", dist, ROOT / "packages" / name)
        for name, code in TRY.items():
            (wheel,) = dist.glob(f"{wheel_stem(name)}-*.whl")
            inspect(wheel, TYPED[name])
            python = environment(Path(folder, name))
            run(python, "-m", "pip", "install", "--quiet", "--find-links", dist, wheel)
            run(python, "-m", "pip", "check")
            print(f"{wheel.name}:", run(python, "-c", code, cwd=folder).strip())


def wheel_stem(name: str) -> str:
    return {
        "core": "tamis",
        "llamaindex": "llama_index_postprocessor_tamis",
        "langchain": "langchain_tamis",
        "haystack": "tamis_haystack",
    }[name]


def inspect(wheel: Path, typed: str) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert typed in names, f"{wheel.name} has no {typed}"
    assert any(name.endswith("LICENSE") for name in names), f"{wheel.name} has no licence"
    foreign = [n for n in names if n in ("llama_index/__init__.py", "haystack_integrations/__init__.py")]
    assert not foreign, f"{wheel.name} would break the namespace: {foreign}"


def environment(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def run(*command: object, cwd: str | None = None) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
