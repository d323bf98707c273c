"""What a published ranking model must be given to work as published, and a preset explained in one screen."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import PositiveInt

from tamis.checkpoints.published import CHECKPOINTS, Published, every, made, published
from tamis.errors import ConfigError, TamisError
from tamis.parts.family import name_of, package_of
from tamis.parts.part import part, unknown
from tamis.parts.plugins import claimed
from tamis.recipes.load import anonymous, load, model_names
from tamis.stage.presets import PRESETS

if TYPE_CHECKING:
    from tamis.stage.base import Stage

WIDTH = 100
EXAMPLE = 100


@part
class Checkpoint:
    """The settings a trained ranker depends on; quality is lost where any of them drifts.

    `names`: on the Hugging Face hub. `template`: the prompt it was trained with, for judges, by its name in
    `tamis.prompts.template.templates()`; `wording`: the same for `LMCrossEncoder`, by its name in
    `tamis.prompts.wordings.wordings()`; `form`: what it reads, in words, where no template can say it. `labels`: the
    tokens its score is read from. `ids`: how passages are named in its prompt. `window`: (least, most) passages in one
    prompt. `context`: tokens. `temperature`: of decoding. `padding`: the side. `kind`: of model. `runtime`: what loads
    it; by default `CausalLM`, or any server that `OpenAIChat` can call. `licence`: as stated, where it is known.
    `source`: where these facts come from, if not from the source of the prompt.
    """

    names: tuple[str, ...]
    template: str = ""
    wording: str = ""
    form: str = ""
    labels: tuple[str, ...] = ()
    ids: Literal["none", "numbers", "letters", "names"] = "none"
    window: tuple[PositiveInt, PositiveInt] | None = None
    context: int | None = None
    temperature: float | None = None
    padding: Literal["left", "right"] | None = None
    kind: Literal["decoder", "encoder", "encoder-decoder"] = "decoder"
    runtime: str = ""
    licence: str = "not stated here: see the model's own card"
    source: str = ""

    def __post_init__(self) -> None:
        if not (self.template or self.wording or self.form):
            model = ", ".join(self.names) or "the model"
            raise ConfigError(f"state what {model} reads: template=..., wording=... or form=...")

    def check(self, stage: Stage) -> None:
        """`ConfigError` when a judged stage shows this model more or fewer passages than it was trained with, or no
        judge of the stage words its prompt as the model knows it."""
        from tamis.prompts.template import template
        from tamis.rankers.judged import Judged

        steps = [*_steps_of(stage)]
        for step in steps:
            width = step.asks[1].width if isinstance(step, Judged) else None
            if self.window and width is not None and not self.window[0] <= width <= self.window[1]:
                least, most = self.window
                raise ConfigError(f"{self.names[0]} was trained on {least} to {most} passages at once, not on {width}")
        if self.template and template(self.template) not in map(_wording, steps):
            raise ConfigError(f"{self.names[0]} knows one wording only: give its judge `template: {self.template}`")


def _steps_of(stage: Stage) -> Iterator[Stage]:
    """The stages inside pipelines and fusions."""
    from tamis.stage.base import Fuse, flattened

    for step in flattened(stage):
        if isinstance(step, Fuse):
            for branch in step.stages:
                yield from _steps_of(branch)
        else:
            yield step


def _wording(step: Any) -> Any:
    """The template in effect in a stage; that of its innermost judge where it has one."""
    from tamis.judges.base import innermost

    return getattr(innermost(step.asks[0] if hasattr(step, "asks") else step), "template", None)


def checkpoints() -> dict[str, Checkpoint]:
    """All known checkpoints by name. One that two files claim is left out with a warning."""
    claims = _claims()
    for name, files in claims.items():
        if len(files) > 1:
            warnings.warn(f"left out the checkpoint {name!r}: {_claimed(name, list(files))}", stacklevel=2)
    return {name: next(iter(files.values())) for name, files in claims.items() if len(files) == 1}


def _claims() -> dict[str, dict[str, Checkpoint]]:
    """For each checkpoint its cards, by the file that states them."""
    found: dict[str, dict[str, Checkpoint]] = {}
    for file, stated in every(_cards).items():
        for card in stated:
            for name in card.names:
                found.setdefault(name, {})[file] = card
    return found


def _claimed(name: str, files: list[str]) -> ConfigError:
    return claimed("checkpoint", name, [claim for file in files for claim in CHECKPOINTS.claims(file)])


def cards(name: str) -> list[Checkpoint]:
    """The cards of the models in the checkpoint file or preset called `name`, one for each kind of them.

    A card that states neither `template` nor `form` reads the template of its file; one that states no `wording`, the
    wording of its file. Raises `ConfigError` for an unknown name.
    """
    if name in CHECKPOINTS:
        return _cards(published(name))
    PRESETS.data(name)
    return []


def _cards(file: Published) -> list[Checkpoint]:
    from tamis.prompts.template import template
    from tamis.prompts.wordings import wording

    found = [made(file.path, "checkpoint", Checkpoint, _complete(file, stated)) for stated in file.checkpoint]
    for card in found:
        if card.template:
            made(file.path, "checkpoint.template", template, {"name": card.template})
        if card.wording:
            made(file.path, "checkpoint.wording", wording, {"name": card.wording})
    return found


def _complete(file: Published, stated: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(stated)
    if file.template is not None and not {"template", "form"} & set(stated):
        fields["template"] = file.name
    if file.wording is not None:
        fields.setdefault("wording", file.name)
    return fields


def checkpoint(name: str) -> Checkpoint:
    """The card of a published model. `ConfigError` for one that two files claim, and for an unknown one, with what to
    state instead.

    >>> checkpoint("castorini/rank_zephyr_7b_v1_full").ids
    'numbers'
    """
    claims = _claims()
    if name not in claims:
        raise ConfigError(
            unknown("checkpoint", name, claims)
            + " For another, state what it was trained with: Checkpoint((name,), template=... or form=..., labels=... "
            "or ids=..., window=..., context=..., temperature=..., padding=...), and give its judge that template."
        )
    if len(claims[name]) > 1:
        raise _claimed(name, list(claims[name]))
    return next(iter(claims[name].values()))


def describe(name: str) -> str:
    """A preset or checkpoint file in one screen: what it is, what it costs, what it needs, what was published. Plain
    text of at most 24 lines of 100 characters.

    Raises `ConfigError` for an unknown name.
    """
    told = PRESETS.data(name) if name in PRESETS or name not in CHECKPOINTS else vars(published(name))
    lines = _wrapped(told["title"])
    for key in ("paper", "note"):
        if told.get(key):
            lines += _wrapped(f"{key}: {told[key]}", later="  ")
    if told["stage"] is not None:
        lines += ["stage:", *_steps(told["stage"])]
        lines += [f"models to give: {', '.join(model_names(name)) or 'none'}", f"cost: {_cost(name)}"]
        lines += _wrapped(_leaves(name), later="  ")
        for what, package in _from_elsewhere(name):
            lines += _wrapped(f"{what}: from {package}", later="  ")
    for card in cards(name):
        lines += _wrapped(f"checkpoint: {', '.join(card.names)}", later="  ")
        lines += _wrapped(_told(_facts(card)), "  ", "  ")
    if told.get("reference"):
        lines += _wrapped(f"as published: {_told(told['reference'])}", later="  ")
    return "\n".join(lines)


def _from_elsewhere(name: str) -> Iterator[tuple[str, str]]:
    """What of a preset other packages bring: the preset itself, and parts it uses."""
    if package := PRESETS.package_of(name):
        yield "preset", package
    used = dict.fromkeys(type(part) for part in _parts(anonymous(name)))
    yield from ((f"uses {name_of(cls)}", package) for cls in used if (package := package_of(cls)))


def _parts(value: Any) -> Iterator[Any]:
    """All parts inside a part, itself included."""
    if isinstance(value, Mapping):
        value = [*value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _parts(item)
    elif is_dataclass(value) and not isinstance(value, type):
        yield value
        for f in fields(value):
            yield from _parts(getattr(value, f.name))


def _steps(stage: Any) -> list[str]:
    """One step a line, as the presets are written: a step's options in braces, wrapped where they are long."""
    steps = stage if isinstance(stage, list) else [stage]
    lines: list[str] = []
    for step in steps:
        (name, options), *rest = step.items() if isinstance(step, Mapping) else ((step, None),)
        one = f"- {name}" if options is None and not rest else f"- {name}: {_flow(options)}"
        lines += _wrapped(one if not rest else f"- {_flow(step)}", "  ", "      ")
    return lines


def _flow(data: Any) -> str:
    """YAML on one line, texts with line breaks in quotes."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if "\n" in value else None)

    Dumper.add_representer(str, text)
    written: str = yaml.dump(
        data, Dumper=Dumper, sort_keys=False, default_flow_style=True, allow_unicode=True, width=math.inf
    )
    return written.removesuffix("...\n").strip()


def _wrapped(text: str, first: str = "", later: str = "") -> list[str]:
    """Lines of at most `WIDTH`; a name with hyphens is not broken."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)


def _cost(name: str) -> str:
    """Calls and rounds for a hundred candidates, counted by running the plan without a model."""
    from tamis.engine.engine import Engine

    stage = anonymous(name)
    try:
        used = Engine(cache=None).dry_run(stage, "query", [f"text {number}" for number in range(EXAMPLE)])
    except TamisError:
        raise
    except Exception as error:  # A stage of another package may read what real candidates have.
        return f"calls cannot be predicted: {error!r}"
    calls, rounds = (f"{n} {what}" + "s" * (n != 1) for n, what in ((used.calls, "call"), (used.rounds, "round")))
    return f"{calls} in {rounds} for {EXAMPLE} candidates (a judge that changes nothing)"


def _leaves(name: str) -> str:
    """What is asked of which model, what may be dropped and which scale comes out, over all stages."""
    from tamis.models.cost_only import CostOnly
    from tamis.stage.explain import measured
    from tamis.stage.scales import spelled
    from tamis.values.scale import ANY, LOGIT

    stage = anonymous(name)
    steps = stage.explanation(EXAMPLE).steps
    asks = [f"{step.name} asks {', '.join(map(str, step.asks))}" for step in steps if step.asks]
    asks += [f"{step.name}: calls cannot be predicted: {step.unpredicted}" for step in steps if step.unpredicted]
    drops = "unknown" if stage.drops is None else ", ".join(stage.drops) or "nothing"
    scale = stage.leaves(None)
    left = "known when it runs" if scale is None else measured(scale)
    with suppress(TamisError):
        if (
            load(name, models={model: CostOnly(model, scale=LOGIT) for model in model_names(name)}).leaves(None)
            != scale
        ):
            left = "the model's own"
    needs = sorted({spelled(step.needs) for step in steps if step.needs != ANY})
    return "stages: " + "; ".join([*asks, *(f"needs {one}" for one in needs), f"may drop: {drops}", f"scale: {left}"])


def _facts(card: Checkpoint) -> dict[str, Any]:
    shown = {
        "template": card.template,
        "wording": card.wording,
        "reads": card.form,
        "labels": ", ".join(f'"{label}"' for label in card.labels),
        "ids": card.ids if card.ids != "none" else "",
        "passages": "-".join(map(str, dict.fromkeys(card.window))) if card.window else "",
        "context": card.context,
        "temperature": None if card.temperature is None else f"{card.temperature:g}",
        "padding": card.padding,
        "kind": card.kind if card.kind != "decoder" else "",
        "runtime": card.runtime,
        "licence": card.licence,
        "source": card.source,
    }
    return {key: value for key, value in shown.items() if value not in (None, "")}


def _told(facts: Mapping[str, Any]) -> str:
    return "; ".join(f"{key}: {value}" for key, value in facts.items())
