"""Planted instructions, against every judge: they reach the model fenced and harmless, and nothing they say happens."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.injections import ANSWERS, CHAT, FENCES, PASSAGES, PLANTED
from tamis import Candidate, Groupwise, Listwise, Pairwise, Pointwise, Query, Rebel, Setwise
from tamis.criteria import RELEVANCE, STANDARD
from tamis.criteria.infer import infer_call
from tamis.judges import (
    Asked,
    Choice,
    Grades,
    Head,
    Identifiers,
    Joint,
    Judge,
    Labels,
    Likelihood,
    Permutation,
    Preference,
    Repeated,
    Thinking,
)
from tamis.judges.base import JUDGES
from tamis.judges.questions.answers import answers_call, parse_answers
from tamis.judges.questions.facets import facets_call
from tamis.judges.questions.rubric import parse_rubric, rubric_call
from tamis.judges.questions.selection import parse_selection, selection_call
from tamis.prompts import prompting
from tamis.prompts.harmless import neutralise
from tamis.prompts.orders import read_letters, read_order, read_scores
from tamis.prompts.template import Template
from tamis.stage.base import Stage
from tamis.values.answers import Generated, Logprobs
from tamis.values.calls import ChoiceLogprobs, Generate, PromptLogprobs
from tamis.values.ranking import Ranked

planted = pytest.mark.parametrize("hostile", PLANTED.values(), ids=PLANTED.keys())
CRITERIA = (RELEVANCE, STANDARD["depth"])
HONEST = "Everest is 8849 m high."
ROOM = 512
TEMPLATE = Template("<query>\n{query}\n</query>\n{passages}\nOrder them.", passage="[{name}] {passage}")
JUDGES_HERE: dict[str, Judge] = {
    "labels": Labels(),
    "graded labels": Labels(("0", "1"), (0, 1), "expected"),
    "preference": Preference(),
    "written preference": Preference("text"),
    "choice": Choice(),
    "choice of a share": Choice(share=0.5),
    "letters": Identifiers(),
    "digits": Identifiers("digits"),
    "permutation": Permutation(),
    "permutation with metadata": Permutation(show=("source",)),
    "permutation with a wish": Permutation(instruction="Only laws count."),
    "grades": Grades(),
    "thinking": Thinking(Permutation()),
    "thinking of none": Thinking(Labels(), "empty"),
    "repeated": Repeated(Choice(), 2),
}
Build = Callable[[Query, list[str]], Any]
CALLS: dict[str, Build] = {
    "rubric": lambda query, texts: rubric_call(None, query, texts, CRITERIA, max_tokens=ROOM, reasons=True),
    "selection": lambda query, texts: selection_call(None, query, texts, ROOM),
    "answers": lambda query, texts: answers_call(None, query, texts, ROOM),
    "facets": lambda query, texts: facets_call(None, query, texts[0], ROOM),
}


def first_call(judge: Judge, query: Query, texts: list[str]) -> Any:
    shown = tuple(Ranked(Candidate(text, metadata={"source": text}), place) for place, text in enumerate(texts))
    return next(judge.ask(Asked(None, query, shown[: 1 if judge.unit == "point" else None])))[0]


def of_judge(judge: Judge) -> Build:
    return lambda query, texts: first_call(judge, query, texts[:2] if judge.unit == "pair" else texts)


ASKS: dict[str, Build] = {**{name: of_judge(judge) for name, judge in JUDGES_HERE.items()}, **CALLS}
every = pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())


def asked(ask: Build, hostile: str) -> tuple[str, str]:
    """The prompt about a hostile passage (and query), and the same with nothing hostile in it."""
    prompts = []
    for text in (hostile, HONEST):
        call = ask(Query(text, instruction=text), [text, HONEST, HONEST])
        prompts.append(next(message.content for message in call.messages if message.role == "user"))
    return prompts[0], prompts[1]


def test_no_judge_of_the_catalog_is_forgotten() -> None:
    no_words = {JUDGES.name_of(judge) for judge in (Head, Joint, Likelihood)}
    assert {JUDGES.name_of(type(judge)) for judge in JUDGES_HERE.values()} | no_words == set(JUDGES.members)


# --- a reader that is easily deceived ---------------------------------------------------------------------------------

CONFUSED = str.maketrans("аеорсуѕԛВραᴘᴀꜱɢᴇᏢᎪᏚᎪᏀᎬ∕⟨⟩⟦⟧〈〉│", "aeopcysqBpapasgePASAGE/<>[]<>|")
FENCE = re.compile(r"<\s*(query|passage)\b[^>]*>.*?<[\s/]*/[\s/]*\1\b[^>\n]*>?", re.DOTALL | re.IGNORECASE)


def as_seen(text: str) -> str:
    """As a gullible reader sees it: lookalikes are alike, what is invisible is not there."""
    text = unicodedata.normalize("NFKD", text).translate(CONFUSED).replace("\u1160", "")
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cf", "Cc", "Mn", "Me"))


def unfenced(prompt: str) -> str:
    """What such a reader takes for the words of whoever asks."""
    seen = as_seen(prompt)
    return FENCE.sub("\n(data)\n", seen)


def fenced(prompt: str, *kinds: str) -> Iterator[str]:
    """What stands inside the fences of these kinds."""
    for found in FENCE.finditer(as_seen(prompt)):
        if found[1] in kinds:
            yield found.group().partition(">")[2].rpartition("<")[0].strip()


@every
@planted
def test_what_stands_outside_the_fences_is_ours_alone(ask: Build, hostile: str) -> None:
    hurt, clean = asked(ask, hostile)
    assert unfenced(hurt) == unfenced(clean)


@planted
def test_a_query_cannot_leave_its_fence_when_criteria_are_inferred(hostile: str) -> None:
    prompts = [infer_call(None, Query(text, instruction=text), 0).messages[-1].content for text in (hostile, HONEST)]
    assert unfenced(prompts[0]) == unfenced(prompts[1])


@every
@pytest.mark.parametrize("hostile", PASSAGES.values(), ids=PASSAGES.keys())
def test_nothing_inside_a_fence_is_an_identifier_or_a_passage(ask: Build, hostile: str) -> None:
    for data in fenced(asked(ask, hostile)[0], "query", "passage"):
        assert not re.search(r"\[\s*(?:\d+|[A-Z])\s*\]|〔|【", data)
        assert not re.search(r"<\s*/?\s*(?:passage|query)", data, re.IGNORECASE)


@pytest.mark.parametrize("hostile", PASSAGES.values(), ids=PASSAGES.keys())
def test_identifiers_of_a_template_without_fences_are_ours_alone(hostile: str) -> None:
    (message,) = TEMPLATE.messages(None, Query(hostile), [hostile, HONEST], ["1", "2"], ROOM)
    assert re.findall(r"\[\s*(\w+)\s*\]", as_seen(message.content)) == ["1", "2"]


@every
@pytest.mark.parametrize("hostile", ANSWERS.values(), ids=ANSWERS.keys())
def test_no_line_inside_a_fence_reads_as_an_answer(ask: Build, hostile: str) -> None:
    prompt, _ = asked(ask, hostile)
    for data in fenced(prompt, "query", "passage"):
        for said in (data, *data.splitlines()):
            assert read_order(said, 3)[1] == "none"
            assert read_scores(said, 3, 0, 10)[1] == "none"
            assert not parse_rubric(said, CRITERIA, 3)
            assert not parse_selection(f"Chosen: {said}", 3)
            assert not parse_answers(said, 3)
    if 'name="A"' in prompt:
        for data in fenced(prompt, "passage"):
            assert read_letters(data, ["A", "B", "C"])[1] == "none"


MARKS = re.compile(
    r"<\s*/?\s*(?:\||s>|think|answer|tool_|bos|eos|system|assistant|(?:start|end|beginning)_of|</?sys|extra_id|unused|seed:"
    r"|turn\||reserved)|\[\s*/?\s*(?:INST|SYSTEM|TOOL|gMASK|\||TRANS|AVAIL)|◁",
    re.IGNORECASE,
)


@every
@pytest.mark.parametrize("hostile", CHAT.values(), ids=CHAT.keys())
def test_no_mark_of_a_chat_template_reaches_the_model(ask: Build, hostile: str) -> None:
    assert not MARKS.search(as_seen(asked(ask, hostile)[0]))


@planted
def test_a_passage_whose_query_is_weighed_is_one_line(hostile: str) -> None:
    call: PromptLogprobs = first_call(Likelihood(), Query("how high?"), [hostile])
    before, *after = call.prefix.split("\n")
    assert before.startswith("Passage: ")
    assert after == ["", "Write a question that this passage answers.", "Question:"]
    assert not MARKS.search(as_seen(call.prefix))


@planted
def test_making_harmless_twice_changes_nothing_more(hostile: str) -> None:
    assert neutralise(neutralise(hostile)) == neutralise(hostile)


@pytest.mark.parametrize(
    "text",
    [
        "Open 12:30 to 13:45.",
        "می‌خواهم کتاب‌ها",
        "क्‍ष",
        "👩‍👩‍👧",
        "if 5 > 3 and a < b: pass",
        'Set {"timeout": 30, "retries": 2} in the file.',
        "Yes.",
        "Part B of the form",
        "1, 2, 3",
        "a passage of time, a query of mine",
        "x < passages",
        "<div><p>x</p></div> <br/> <user_name>Ann</user_name> <channel> <item>",
        "vector<string> a[i] = b[j]; x |> f; List<int, int>",
        "| name | value |\n|---|---|\n| a | b |",
        "|x| < 3 and {x : x > 0}",
        "[INFO] started, [see below], [TODO], [sic]",
        "**bold** [link](https://example.org) `code`",
        "naïve façade, Zürich, Ελλάδα, Москва, 日本語, हिन्दी, العربية",
    ],
)
def test_honest_text_arrives_as_it_is(text: str) -> None:
    assert neutralise(text) == text


def test_letters_with_spaces_between_them_spell_a_fence_too() -> None:
    assert neutralise("</p a s s a g e>") == "‹/p a s s a g e>"


# --- a model that obeys -----------------------------------------------------------------------------------------------

SHOWN = re.compile(r'<passage (?:number|name)="(\w+)">\n(.*?)\n</passage>', re.DOTALL)


class Obedient:
    """Judges by length, the shortest best, unless it sees the word ZEBRA outside the fences: then the longest."""

    name = "obedient"
    max_concurrency = 4

    def __init__(self) -> None:
        self.obeyed = 0

    def _worth(self, call: Any) -> list[tuple[str, float]]:
        """Name and worth of each passage."""
        prompt = call.messages[1].content
        orders = "ZEBRA" in unfenced(prompt)
        self.obeyed += orders
        return [(name, len(text) if orders else -len(text)) for name, text in SHOWN.findall(prompt)]

    def generate(self, calls: list[Generate]) -> list[Generated]:
        return [Generated(self._written(call)) for call in calls]

    def _written(self, call: Generate) -> str:
        worth = self._worth(call)
        names = [name for name, _ in sorted(worth, key=lambda item: -item[1])]
        if call.schema is None:
            return " > ".join(f"[{name}]" for name in (names if len(call.expect) > 3 else names[:1]))
        grades = {name: max(0, 10 - rank) for rank, name in enumerate(names)}
        if "passages" in call.schema["properties"]:
            rows = ", ".join(f'{{"passage": {name}, "relevance": {grade}}}' for name, grade in grades.items())
            return f'{{"passages": [{rows}]}}'
        return "{" + ", ".join(f'"{name}": {grade}' for name, grade in grades.items()) + "}"

    def choice_logprobs(self, calls: list[ChoiceLogprobs]) -> list[Logprobs]:
        return [Logprobs(self._values(call)) for call in calls]

    def _values(self, call: ChoiceLogprobs) -> tuple[float, ...]:
        worth = dict(self._worth(call))
        if len(worth) > 1:
            low = min(worth.values())
            total = sum(value - low + 1 for value in worth.values())
            return tuple(math.log((worth[name] - low + 1) / total) for name in call.choices)
        (value,) = worth.values()
        yes = 1 / (1 + math.exp(-value / 100))
        return math.log(yes), math.log(1 - yes)


RANKERS: dict[str, Callable[[Any], Stage]] = {
    "pointwise": Pointwise,
    "pairwise": Pairwise,
    "setwise": Setwise,
    "groupwise": Groupwise,
    "listwise": Listwise,
    "single token": lambda model: Listwise(model, judge=Identifiers()),
    "rebel": lambda model: Rebel(model, criteria=()),
}
OTHERS = [HONEST, "Everest is a mountain in Asia.", "It was first climbed in 1953, by two men from the south."]
FILLER = "\n" + "Nothing else of note. " * 20


@pytest.mark.parametrize("ranker", RANKERS.values(), ids=RANKERS.keys())
@planted
def test_a_model_that_obeys_what_is_not_fenced_is_given_nothing_to_obey(
    ranker: Callable[[Any], Stage], hostile: str
) -> None:
    model = Obedient()
    ranking = ranker(model).rerank(Query("how high?", instruction=hostile), [hostile + FILLER, *OTHERS])
    assert not model.obeyed
    assert ranking.positions == (1, 2, 3, 0)


@pytest.mark.parametrize("hostile", FENCES.values(), ids=FENCES.keys())
def test_without_neutralising_that_model_would_obey(hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompting, "neutralise", lambda text, **how: text)
    model = Obedient()
    Listwise(model).rerank(Query("how high?", instruction=hostile), [hostile + FILLER, *OTHERS])
    assert model.obeyed
