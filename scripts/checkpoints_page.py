"""Write the table of docs/checkpoints.md from the files in packages/core/src/tamis/checkpoints.

python scripts/checkpoints_page.py           writes the table
python scripts/checkpoints_page.py --check   writes nothing; fails if the table is not up to date
"""

from __future__ import annotations

import sys
from pathlib import Path

from tamis.checkpoints.published import CHECKPOINTS
from tamis.recipes.cards import Checkpoint, cards
from tamis.stage.presets import PRESETS

PAGE = Path(__file__).parent.parent / "docs" / "checkpoints.md"
BEGINS, ENDS = "<!-- The table is written by scripts/checkpoints_page.py. -->\n\n", "\n<!-- End of the table. -->\n"
HEAD = "| file | preset | models | prompt | loaded by | licence |\n|---|---|---|---|---|---|\n"


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, begins, rest = page.partition(BEGINS)
    _, ends, after = rest.partition(ENDS)
    if not begins or not ends:
        sys.exit(f"{PAGE} has lost a line that marks its table: {BEGINS.strip()} or {ENDS.strip()}")
    now = before + BEGINS + table() + ENDS + after
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(now, encoding="utf-8")
    elif now != page:
        sys.exit(f"{PAGE} is not up to date. Run: python scripts/checkpoints_page.py")


def table() -> str:
    return HEAD + "".join(row(name, card) for name in CHECKPOINTS.names() for card in cards(name))


def row(name: str, card: Checkpoint) -> str:
    named = [f"`{kind}: {value}`" for kind, value in (("template", card.template), ("wording", card.wording)) if value]
    cells = (
        name,
        "yes" if name in PRESETS else "no",
        ", ".join(f"`{model}`" for model in card.names),
        "; ".join([*named, *([card.form] if card.form else [])]),
        runtime(card),
        card.licence,
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def runtime(card: Checkpoint) -> str:
    """As stated, or what loads any decoder; and what loads the wording, where there is one."""
    stated = card.runtime or "CausalLM, OpenAIChat"
    return stated if not card.wording or "LMCrossEncoder" in stated else f"{stated}, LMCrossEncoder"


if __name__ == "__main__":
    main()
