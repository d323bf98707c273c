"""docs/checkpoints.md lists every card as it is."""

from __future__ import annotations

from support.places import ROOT
from tamis.recipes.cards import Checkpoint, cards
from tamis.recipes.load import presets

PAGE = ROOT / "docs" / "checkpoints.md"


def row(preset: str, card: Checkpoint) -> str:
    prompt = (
        f"frozen: `{card.template}`" if card.template else "no wording can say it: " + card.form.replace("|", "\\|")
    )
    names = ", ".join(f"`{name}`" for name in card.names)
    return f"| {preset} | {names} | {prompt} | {card.runtime or 'CausalLM, OpenAIChat'} | {card.licence} |"


def test_the_page_lists_every_card() -> None:
    rows = [row(name, card) for name in presets() for card in cards(name)]
    page = PAGE.read_text(encoding="utf-8")
    missing = [line for line in rows if line not in page]
    assert not missing, "put these into docs/checkpoints.md:\n" + "\n".join(missing)
    assert page.count("\n| ") - page.count("\n| preset |") - page.count("\n| method |") >= len(rows)
