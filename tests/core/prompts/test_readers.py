"""Every reader of answers: linear in time, without thoughts, deaf to negation, and the last whole answer counts."""

from __future__ import annotations

import ast
import inspect
import json
import re
import time
from collections.abc import Callable
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tamis
from tamis.criteria import RELEVANCE, STANDARD
from tamis.criteria.infer import parse_criteria
from tamis.judges import Choice, Grades, Permutation
from tamis.judges.questions.answers import parse_answers
from tamis.judges.questions.facets import parse_facets
from tamis.judges.questions.rubric import parse_rubric
from tamis.judges.questions.selection import parse_selection
from tamis.prompts import orders, parsing, thoughts
from tamis.prompts.orders import read_letters, read_order, read_scores, uncut
from tamis.prompts.parsing import decimal, json_objects, number, relevance_lines, within
from tamis.prompts.thoughts import LONGEST, answer_text, final_answer
from tamis.values.answers import Generated

TWO = (RELEVANCE, STANDARD["depth"])
Read = Callable[[str], Any]
READERS: dict[str, Read] = {
    "answer_text": answer_text,
    "final_answer": final_answer,
    "normalised": thoughts.normalised,
    "bounded": thoughts.bounded,
    "json_objects": lambda text: list(json_objects(text)),
    "number": number,
    "relevance_lines": lambda text: relevance_lines(text, 20),
    "permutation": lambda text: orders.permutation(text, 20),
    "read_order": lambda text: read_order(text, 20),
    "read_letters": lambda text: read_letters(text, "ABCDEFGHIJ"),
    "read_scores": lambda text: read_scores(text, 20, 0, 10),
    "stated": orders.stated,
    "negated": orders.negated,
    "has_thought": thoughts.has_thought,
    "uncut": lambda text: uncut(Generated(text, complete=False)),
    "parse_rubric": lambda text: parse_rubric(text, TWO, 10),
    "parse_selection": lambda text: parse_selection(text, 20),
    "parse_answers": lambda text: parse_answers(text, 10),
    "parse_facets": parse_facets,
    "parse_criteria": parse_criteria,
}
NO_TEXT = {"decimal", "index", "nested", "within"}
"""Functions of these modules that are given numbers or values, not an answer."""


def test_no_reader_is_forgotten() -> None:
    """Whatever public function of the packages takes a text that a model wrote."""
    found = {
        name
        for module in (parsing, orders, thoughts)
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    for path in Path(tamis.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and re.match(r"parse_(?!retry_after)", node.name):
                module = import_module(".".join(["tamis", *path.relative_to(tamis.__path__[0]).with_suffix("").parts]))
                takes = inspect.signature(getattr(module, node.name)).parameters if hasattr(module, node.name) else {}
                if "judges" in path.parts or "criteria" in path.parts:
                    found |= {node.name} if "text" in takes else set()
    assert found - NO_TEXT == set(READERS)


UNITS = [
    "1", " ", "[", "[1", "[1,", "1 ", "1>", "[1] > ", "[1] ", "[A] ", "A ", "{", '{"', '{"a":', '{"a":[', "{ ", '{"1":1}', '"1":', "1:", "1:1.",
    "<", "<think>", "</think>", "<answer>", "</answer>", "[THINK]", "◁think▷", "<|channel|>", "<|channel|>final<|message|>", "<|end|>", "<|a|>",
    "<think ", "[think ", "doc ", "doc 1 ", "doc 1 relevance ", "passage 1 ", "not ", "[1] not ", "(", "(others ", ".", "a.b", "a. ", "\n", "1\n",
    "[1]\n", "\u0301", "\u0301\u0323", "\ufdfa", "②", "１", "-", "=", "[1] = ", "[1] < ", "n't", "final [", "answer [1] ", "\\", '\\"', '"', "```", "is not",
    "[1] > ... > ", "Final: ", "Answer: [1] > [2]. ", "worst to ", "least first: ", "<unused94>", "<details type=reasoning>", "</details>",
    '{"id":1,"score":1}', "[1] ranks behind ", "1e9", "1.234,",
]  # fmt: skip
ENDS = ["", "x", " [", "\u0323", ">"]
SHAPES = {f"{unit}*n{end}": (unit, end) for unit, end in product(UNITS, ENDS)}


def cpu(read: Read, text: str) -> float:
    best = float("inf")
    for _ in range(2):
        started = time.thread_time()
        read(text)
        best = min(best, time.thread_time() - started)
        if best < 0.003:
            break
    return best


INNER = {"stated", "negated"}
"""Are given what `final_answer` has cut."""
READ_FIRST = {name: read for name, read in READERS.items() if name not in INNER}


@pytest.mark.parametrize("atom", ["<", "[", "x", "1", "<think> ", "[1] > ", "{"])
@pytest.mark.parametrize("read", READ_FIRST.values(), ids=READ_FIRST.keys())
def test_an_answer_of_any_length_is_read_in_a_bounded_time(read: Read, atom: str) -> None:
    text = atom * (4 * 2**20 // len(atom))
    started = time.process_time()
    read(text)
    assert time.process_time() - started < 2.0, "twenty times what it takes"


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_time_grows_with_the_length_of_the_answer_and_not_its_square(read: Read) -> None:
    """Between 1,000 and 4,000 characters: a square would take 16 times as long, a cube 64 times."""
    slow = []
    for name, (unit, end) in SHAPES.items():
        short, long = (unit * (size // len(unit)) + end for size in (1_000, 4_000))
        after = cpu(read, long)
        if after > 0.01 and after > 9 * cpu(read, short) + 0.005:
            slow.append(f"{name}: {after:.3f} s")
    assert not slow


@pytest.mark.parametrize("unit", ["1", "[", "{", '{"a":[', "<think>", "[1] > ", "[1] not ", "\u0301", "\ufdfa", "a. "])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_an_answer_of_half_a_megabyte_is_read_in_less_than_a_second(read: Read, unit: str) -> None:
    assert cpu(read, unit * (500_000 // len(unit)) + "x") < 1


def test_of_an_endless_answer_both_ends_are_read() -> None:
    assert read_order("[2] > [1]\n" + "word " * LONGEST, 2)[0] == [1, 0]
    assert read_order("word " * LONGEST + "\n[2] > [1]", 2)[0] == [1, 0]


# --- thoughts ---------------------------------------------------------------------------------------------------------

FAMILIES = {
    "think": ("<think>", "</think>"),
    "in capitals": ("<THINK>", "</Think>"),
    "with inner spaces": ("< think >", "< / think >"),
    "with a budget": ('<think budget="9">', "</think>"),
    "thinking": ("<thinking>", "</thinking>"),
    "thought": ("<thought>", "</thought>"),
    "thoughts": ("<thoughts>", "</thoughts>"),
    "reasoning": ("<reasoning>", "</reasoning>"),
    "reason": ("<reason>", "</reason>"),
    "reflection": ("<reflection>", "</reflection>"),
    "scratchpad": ("<scratchpad>", "</scratchpad>"),
    "Seed": ("<seed:think>", "</seed:think>"),
    "LongCat": ("<longcat_think>", "</longcat_think>"),
    "Magistral": ("[THINK]", "[/THINK]"),
    "Kimi": ("◁think▷", "◁/think▷"),
    "piped": ("<|think|>", "<|/think|>"),
    "OpenThinker": ("<|begin_of_thought|>", "<|end_of_thought|>"),
    "Command": ("<|START_THINKING|>", "<|END_THINKING|>"),
    "gpt-oss": ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    "gpt-oss with JSON": ("<|channel|>analysis<|message|>", "<|end|><|channel|>final <|constrain|>json<|message|>"),
    "gpt-oss without marks": ("analysisWe ", "assistantfinal"),
    "Gemma": ("<|channel>thought\n", "<channel|>"),
    "MedGemma": ("<unused94>thought\n", "<unused95>"),
    "start and end": ("<|think_start|>", "<|think_end|>"),
    "start and end without bars": ("<think_start>", "<think_end>"),
    "begin of thinking": ("<|begin_of_thinking|>", "<|end_of_thinking|>"),
    "chain of thought": ("<chain_of_thought>", "</chain_of_thought>"),
    "cot": ("<cot>", "</cot>"),
    "analysis": ("<analysis>", "</analysis>"),
    "scratch pad": ("<scratch_pad>", "</scratch_pad>"),
    "reflect": ("<reflect>", "</reflect>"),
    "deliberation": ("<deliberation>", "</deliberation>"),
    "plan": ("<plan>", "</plan>"),
    "folded": ('<details type="reasoning" done="true">', "</details>"),
}
family = pytest.mark.parametrize(("opens", "closes"), FAMILIES.values(), ids=FAMILIES.keys())
DRAFTS = ["[3] > [2] > [1]", '{"1": 9, "2": 0, "3": 9}', "Doc: 1, Relevance: 9", "[C]\nC", "[2]", "None.", "Hm"]


@family
@given(
    draft=st.lists(st.sampled_from(DRAFTS), max_size=3).map("\n".join),
    final=st.sampled_from(["[2] > [3] > [1]", "[2]", "B"]),
)
def test_what_is_read_is_what_comes_after_the_thought(opens: str, closes: str, draft: str, final: str) -> None:
    for text in (f"{opens}{draft}{closes}{final}", f"{opens}\n{draft}\n{closes}\n\n{final}\n"):
        assert final_answer(text) == final
        assert read_order(text, 3) == read_order(final, 3)
        assert read_letters(text, "ABC") == read_letters(final, "ABC")


@family
@pytest.mark.parametrize("draft", DRAFTS)
def test_a_thought_without_an_end_is_no_answer(opens: str, closes: str, draft: str) -> None:
    text = f"{opens}Perhaps\n{draft}\nbut"
    assert answer_text(text) == ""
    assert read_order(text, 3)[1] == read_letters(text, "ABC")[1] == read_scores(text, 3, 0, 10)[1] == "none"
    assert not parse_rubric(text, TWO, 3)
    assert not relevance_lines(text, 3)
    assert parse_selection(text, 3) is None


@pytest.mark.parametrize(
    ("opens", "closes"),
    [pair for name, pair in FAMILIES.items() if "gpt-oss" not in name and name not in ("Gemma", "folded")],
)
def test_a_thought_that_the_prompt_began_ends_with_its_mark(opens: str, closes: str) -> None:
    assert final_answer(f"[3] > [2] > [1]? No. {closes} [2] > [1]") == "[2] > [1]"
    assert final_answer(f"[2] > [1]\n{opens}or not{closes}") == "[2] > [1]"
    assert final_answer(f"{opens}a{opens}b{closes}[1]{closes}[2]") == "[2]"


@pytest.mark.parametrize(
    "text",
    [
        "[Plan]\n[2] > [1]",
        "<details>long</details>\n[2] > [1]",
        "[2] > [1]\n<details><summary>why</summary>[1] is short</details>",
        "[Reasoning]\n[2] > [1]",
        "I think [2] > [1]",
        "thought: [2] > [1]",
        "[2] > [1]<|im_end|>",
    ],
)
def test_what_is_no_mark_of_a_thought_cuts_nothing(text: str) -> None:
    assert read_order(text, 2)[0] == [1, 0]


def test_json_may_speak_of_thoughts_and_a_draft_in_json_is_one() -> None:
    said = '{"1": 3, "2": 4}'
    assert answer_text('{"1": "a </think> b"}') == '{"1": "a </think> b"}'
    assert answer_text(f'{{"1": 9, "2": 9}} no. </think>{said}') == said
    assert read_scores(f'```json\n{{"1": 9, "2": 9}}\n``` no.</think>{said}', 2, 0, 10)[0] == [3, 4]


# --- several answers --------------------------------------------------------------------------------------------------

places = st.permutations(range(1, 6))


@given(draft=places, final=places)
def test_of_several_whole_answers_the_last_counts(draft: list[int], final: list[int]) -> None:
    drafted, wanted = ([f"[{n}]" for n in order] for order in (draft, final))
    order = [n - 1 for n in final]
    assert read_order(f"First {' > '.join(drafted)}.\nThen {' > '.join(wanted)}", 5)[0] == order
    assert read_order(f"First: {', '.join(drafted)}\nThen: {', '.join(wanted)}", 5)[0] == order
    assert parse_selection(f"{', '.join(drafted)}\nFinal answer: {wanted[0]}", 5) == order[:1]
    scores, rows = ([dict(enumerate(said, 1)) for said in (draft, final)] for _ in range(2))
    told = "\nNo, better:\n".join(json.dumps(said) for said in scores)
    assert read_scores(told, 5, 0, 10)[0] == final
    tables = [{"passages": [{"passage": n, "relevance": g} for n, g in row.items()]} for row in rows]
    graded = parse_rubric("\nor\n".join(map(json.dumps, tables)), TWO, 5)
    assert [graded[n][0]["relevance"] for n in range(5)] == final
    assert parse_rubric(json.dumps(tables[1]) + json.dumps(tables[0])[:-40], TWO, 5) == graded


def test_an_answer_tag_without_an_end_is_a_draft_beside_a_whole_one() -> None:
    assert final_answer("<answer>[1]</answer> or <answer>[2") == "[1]"
    assert final_answer("<answer>[1]</answer> no, <answer>[2]</answer>") == "[2]"
    assert final_answer("so <answer>[2]") == "[2]"


# --- negation ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "None of [1], [2] helps.",
        "None of the passages [1], [2] and [3] answers the query",
        "I cannot rank [1] and [2].",
        "I can't rank passages [1], [2], [3], because they are empty.",
        "I’m sorry, I am unable to compare [1] with [2].",
        "It is not true that [1] > [2].",
        "[1] > [2] is wrong",
        "[1] < [2] < [3]",
        "1 < 2 < 3",
        "[2] is worse than [1].",
        "[3] is not helpful.",
        "[1] is off topic.\n[2] is irrelevant.",
        "Ich kann [1] und [2] nicht ordnen.",
        "我无法对 [1] 和 [2] 排序。",
        "Je ne peux pas classer [1] et [2]",
        "Il n'est pas possible de classer [1] et [2]",
        "Não consigo ordenar [1] e [2]",
        "Non posso ordinare [1] e [2]",
        "No puedo ordenar [1] y [2]",
        "Ik kan [1] en [2] niet ordenen",
        "Не могу ранжировать [1] и [2]",
        "لا يمكنني ترتيب [1] و [2]",
        "[1]과 [2]는 관련이 없습니다",
        "[1]と[2]は関係ありません",
        "I am refusing to rank [1] and [2]",
        "I must decline to order [1], [2]",
        "Passages [1] and [2] lack any information",
        "[1] fails to answer",
        "Avoid [1].",
        "[1] ≯ [2]",
        "The order is anything but [1] > [2].",
        "[1] > [2] > [3] would be a mistake.",
        "[1] is inferior to [2]",
        "[1] ranks behind [2]",
        "Passage 1 ranks below passage 2",
        "[1] comes after [2]",
        "From worst to best: [3] > [1] > [2]",
        "Least relevant first: [3], [1], [2]",
        "Least relevant first:\n[3]\n[1]\n[2]",
        "In ascending order of relevance:\n1. [3]\n2. [1]\n3. [2]",
    ],
)
def test_negation_and_refusal_are_no_ranking(text: str) -> None:
    assert read_order(text, 3) == ([], "none")
    assert not Permutation().read(Generated(text), 3).usable
    assert not Choice().read(Generated(text), 3).usable


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("[3] > [2] > [1]. None of them is complete.", [2, 1, 0]),
        ("[2] and [1], the others do not help.", [1, 0]),
        ("[2], [3] (the rest is not relevant)", [1, 2]),
        ("[2]: says how high\n[1]: does not say it\n[3]: is off topic", [1, 0, 2]),
        ("Since [1] does not answer: [3] > [2] > [1]", [2, 1, 0]),
        ("Not only [2] helps", [1]),
        ("Passage 3, since [1] is off", [2, 0]),
        ("[2]: how a pump fails to start\n[1]: the decline of Rome, which comes after\n[3]: a non-profit", [1, 0, 2]),
        ("[2] tells of a lack of vitamins, [1] of what to avoid", [1, 0]),
    ],
)
def test_remarks_beside_a_ranking_leave_it_as_it_is(text: str, order: list[int]) -> None:
    assert read_order(text, 3)[0] == order


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("None of [1], [2] or [3] helps.", []),
        ("None. [1] is off topic.", []),
        ("No passages: [1] is about cats and not dogs.", []),
        ("I would not choose [1].", None),
        ("I cannot choose between [1] and [2].", None),
        ("[3], [1]. The others do not help.", [2, 0]),
    ],
)
def test_what_a_selection_denies_is_not_chosen(text: str, chosen: list[int] | None) -> None:
    assert parse_selection(text, 3) == chosen


@pytest.mark.parametrize(
    "text", ["[A] is worse than [B]", "I cannot tell [A] from [B].", "Neither [A] nor [B]", "[A] < [B]"]
)
def test_letters_that_are_denied_are_no_choice(text: str) -> None:
    assert read_letters(text, "AB") == ([], "none")


@pytest.mark.parametrize(
    "text", ["The ratio is 2:1.", "At 3:30 I stopped.", "from 1:2 to 2:1", "John 3:16", "1:2:3", "10:30 am"]
)
def test_a_ratio_or_a_time_is_no_score(text: str) -> None:
    assert read_scores(text, 3, 0, 10)[1] == "none"


@pytest.mark.parametrize(
    "text", ["[1]: 7\n[2]: 3", "1: 7, 2: 3", "1: 7\n2: 3", "Passage 1: 7\nPassage 2: 3", "1 = 7; 2 = 3", '"1":7 "2":3']
)
def test_scores_without_json_are_read(text: str) -> None:
    assert read_scores(text, 2, 0, 10)[0] == [7, 3]


@pytest.mark.parametrize(
    "text",
    [
        '{"1": {"score": 7, "why": "a"}, "2": {"score": 3}}',
        '{"1": {"grade": "7"}, "2": {"grade": "3"}}',
        '[{"id": 1, "score": 7}, {"id": 2, "score": 3}]',
        '{"scores": [{"passage": 1, "score": 7}, {"passage": "[2]", "score": 3}]}',
        '[{"id": 1, "score": 1}, {"id": 2, "score": 1}] no: [{"id": 2, "score": 3}, {"id": 1, "score": 7}]',
    ],
)
def test_scores_within_objects_are_read(text: str) -> None:
    assert read_scores(text, 2, 0, 10) == ([7, 3], "permissive")


@pytest.mark.parametrize("said", ["Infinity", "1e400", "-1e400", "1.234,5", "1,234.5", "NaN"])
def test_what_no_one_can_read_is_no_score_and_not_a_wrong_one(said: str) -> None:
    assert number(said) is None
    assert read_scores(f'{{"1": "{said}", "2": 3}}', 2, 0, 10)[0] == [None, 3]


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("Draft: [1] > [2] > [3]. Final: [3] > [2]", [2, 1]),
        ("**Thinking:** [1] > [2] > [3]\n**Answer:** [3] > [2]", [2, 1]),
        ("Here is my thought process: [1] > [2] > [3]\nHere is my response: [3] > [2]", [2, 1]),
        ("My steps: [1] > [2] > [3]\n[BEGIN FINAL RESPONSE]\n[3] > [2]\n[END FINAL RESPONSE]", [2, 1]),
        ("Answer: [3] > [2] > [1]\nThe final answer is short.", [2, 1, 0]),
        ("[3] > [2] > [1]\nAnswer: [3] is best", [2, 1, 0]),
        ("[3] > ... > [1]", [2, 0]),
        ("[3] > [2] > … > [1]", [2, 1, 0]),
    ],
)
def test_of_a_draft_and_a_final_chain_the_final_one_counts(text: str, order: list[int]) -> None:
    assert read_order(text, 3)[0] == order


# --- chains -----------------------------------------------------------------------------------------------------------


@given(order=st.permutations(range(1, 8)), missing=st.sets(st.integers(0, 5), max_size=5), data=st.data())
def test_a_missing_sign_within_a_chain_loses_nobody(order: list[int], missing: set[int], data: st.DataObject) -> None:
    signs = [data.draw(st.sampled_from([" ", "", ", "])) if n in missing else " > " for n in range(6)]
    text = "".join(f"[{n}]{sign}" for n, sign in zip(order, [*signs, ""], strict=True))
    assert read_order(text, 7)[0] == [n - 1 for n in order]


def test_the_chain_of_the_issue_is_whole() -> None:
    assert read_order("[3] [2] > [1] > [4]", 4) == ([2, 1, 0, 3], "permissive")
    assert read_order("3] > 2] > [1] > 4", 4)[0] == [2, 1, 0, 3]


# --- numbers ----------------------------------------------------------------------------------------------------------


@given(whole=st.integers(-99, 99), part=st.integers(0, 99))
def test_a_decimal_comma_is_a_decimal_point(whole: int, part: int) -> None:
    said = f"{whole},{part:02}"
    assert number(said) == decimal(said) == float(said.replace(",", "."))
    assert read_scores(f'{{"1": "{said}"}}', 1, -100, 100)[0] == [number(said)]
    assert relevance_lines(f"Doc: 1, Relevance: {said}", 1) == [(1, number(said))]


@pytest.mark.parametrize(
    ("said", "read"),
    [("1,2,3", 1.0), ("7, 8", 7.0), ("not 10", None), ("isn't 3", None), ("3 (not 4)", 3.0), ("< 3", None)],
)
def test_lists_and_denied_numbers(said: str, read: float | None) -> None:
    assert number(said) == read


grades = st.lists(st.integers(-40, 140).map(lambda n: n / 4) | st.sampled_from([1e30, -1e30]), min_size=1, max_size=12)


@settings(max_examples=300)
@given(values=grades)
def test_grades_off_the_range_keep_their_order_and_those_in_it_their_worth(values: list[float]) -> None:
    fitted = within(values, 0, 10)
    assert all(0 <= value <= 10 for value in fitted)
    for a, b in product(range(len(values)), repeat=2):
        assert (values[a] < values[b]) == (fitted[a] < fitted[b])
    if all(0 <= value <= 10 for value in values):
        assert fitted == values
    assert all(abs(now - max(0, min(10, value))) <= 0.1 for value, now in zip(values, fitted, strict=True))


def test_grades_off_the_range_of_a_judge_keep_their_order() -> None:
    assert Grades().read(Generated('{"1": 11, "2": 12, "3": 4}'), 3).order == (1, 0, 2)
    rows = [{"passage": n, "relevance": g} for n, g in ((1, 11), (2, 12), (3, -1), (4, -2))]
    found = parse_rubric(json.dumps(rows), TWO, 4)
    assert sorted(found, key=lambda place: -found[place][0]["relevance"]) == [1, 0, 2, 3]


@given(text=st.text(alphabet="0123456789.,-[\"' >x", max_size=12))
def test_a_cut_takes_nothing_but_a_number_at_the_end(text: str) -> None:
    left = uncut(Generated(text, complete=False))
    assert text.startswith(left)
    assert re.fullmatch(r"""[\["']{0,2}-?\d*[.,]?\d*\s*""", text[len(left) :])
    assert left != text or not re.search(r"\d\s*\Z", text)
    assert uncut(Generated(text)) == text
