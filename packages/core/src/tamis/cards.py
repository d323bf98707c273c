"""What a published ranking model must be given to work as published, and a preset explained in one screen."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tamis.catalog import unknown
from tamis.config import model_names, parse, preset, presets
from tamis.errors import ConfigError
from tamis.part import part

if TYPE_CHECKING:
    from tamis.stage import Stage

WIDTH = 100
EXAMPLE = 100


@part
class Checkpoint:
    """The settings a trained ranker depends on; quality is lost where any of them drifts.

    `names`: on the Hugging Face hub. `template`: the prompt it was trained with, in words. `labels`: the tokens its
    score is read from. `ids`: how passages are named in its prompt. `window`: (least, most) passages in one prompt.
    `context`: tokens. `temperature`: of decoding. `padding`: the side. `kind`: of model; `CausalLM` loads decoders
    only. `licence`: as stated, where it is known.
    """

    names: tuple[str, ...]
    template: str
    labels: tuple[str, ...] = ()
    ids: Literal["none", "numbers", "letters", "names"] = "none"
    window: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    context: int | None = None
    temperature: float | None = None
    padding: Literal["left", "right"] | None = None
    kind: Literal["decoder", "encoder", "encoder-decoder"] = "decoder"
    licence: str = "not stated here: see the model's own card"

    def check(self, stage: Stage) -> None:
        """`ConfigError` when a judged stage shows this model more or fewer passages than it was trained with."""
        from tamis.rankers.judged import Judged
        from tamis.stage import flattened

        for step in flattened(stage):
            width = step.asks[1].width if isinstance(step, Judged) else None
            if self.window and width is not None and not self.window[0] <= width <= self.window[1]:
                least, most = self.window
                raise ConfigError(f"{self.names[0]} was trained on {least} to {most} passages at once, not on {width}")


def checkpoints() -> dict[str, Checkpoint]:
    """All known checkpoints by name, from the presets."""
    return dict(_checkpoints())


def _checkpoints() -> Iterator[tuple[str, Checkpoint]]:
    for name in presets():
        if told := _read(name).get("checkpoint"):
            card = Checkpoint(**told)
            yield from ((checkpoint, card) for checkpoint in card.names)


def checkpoint(name: str) -> Checkpoint:
    """The card of a published model. `ConfigError` for an unknown one, with what to state instead.

    >>> checkpoint("castorini/rank_zephyr_7b_v1_full").ids
    'numbers'
    """
    known = checkpoints()
    if name not in known:
        raise ConfigError(
            unknown("checkpoint", name, known)
            + " For another, state what it was trained with: Checkpoint((name,), template=..., labels=... or ids=..., "
            "window=..., context=..., temperature=..., padding=...), and give its judge that template."
        )
    return known[name]


def describe(name: str) -> str:
    """A preset in one screen: what it is, what it costs, what it needs, what was published. Plain text.

    Raises `ConfigError` for an unknown name.
    """
    told = _read(name)
    lines = [told["title"]]
    if "paper" in told:
        lines.append(f"paper: {told['paper']}")
    if "note" in told:
        lines += ["", *_wrapped(told["note"])]
    lines += ["", "stage:", textwrap.indent(_yaml(told["stage"]), "  ")]
    lines += ["", f"models to give: {', '.join(model_names(name)) or 'none'}", f"cost: {_cost(name)}"]
    if "checkpoint" in told:
        lines += ["", "checkpoint:", *_card(Checkpoint(**told["checkpoint"]))]
    if "reference" in told:
        lines += ["", "as published:", *_told(told["reference"])]
    return "\n".join(lines)


def _read(name: str) -> Mapping[str, Any]:
    told: Mapping[str, Any] = parse(preset(name), name)
    return told


def _yaml(data: Any) -> str:
    """As the presets are written: innermost lists and mappings on one line, and so texts with line breaks."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if "\n" in value else None)

    Dumper.add_representer(str, text)
    written: str = yaml.dump(
        data, Dumper=Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=WIDTH
    )
    return written.rstrip()


def _wrapped(text: str, first: str = "", later: str = "") -> list[str]:
    """Lines of at most `WIDTH`; a name with hyphens is not broken."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)


def _cost(name: str) -> str:
    """Calls and rounds for a hundred candidates, counted by running the plan without a model."""
    from tamis.config import load
    from tamis.engine import Engine
    from tamis.models.cost_only import CostOnly

    stage = load(name, models={model: CostOnly(model) for model in model_names(name)})
    used = Engine(cache=None).dry_run(stage, "query", [f"text {number}" for number in range(EXAMPLE)])
    calls, rounds = (f"{n} {what}" + "s" * (n != 1) for n, what in ((used.calls, "call"), (used.rounds, "round")))
    return f"{calls} in {rounds} for {EXAMPLE} candidates (a judge that changes nothing)"


def _card(card: Checkpoint) -> list[str]:
    shown = {
        "names": ", ".join(card.names),
        "template": card.template,
        "labels": ", ".join(f'"{label}"' for label in card.labels),
        "ids": card.ids if card.ids != "none" else "",
        "window": "-".join(map(str, dict.fromkeys(card.window))) if card.window else "",
        "context": card.context,
        "temperature": None if card.temperature is None else f"{card.temperature:g}",
        "padding": card.padding,
        "kind": card.kind,
        "licence": card.licence,
    }
    return _told({key: value for key, value in shown.items() if value not in (None, "")})


def _told(facts: Mapping[str, Any]) -> list[str]:
    return [line for key, value in facts.items() for line in _wrapped(f"{key}: {value}", "  ", "    ")]
