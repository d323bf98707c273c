"""Any control word, fence or identifier, however it is disguised, is neutralised by its form; honest text stays."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from tamis.judges import Asked, Permutation
from tamis.models.local.plain_text import PlainText
from tamis.prompts.harmless import neutralise, neutralise_control
from tamis.prompts.wordings import wording, wordings
from tamis.values.ranking import Candidate, Query, Ranked

WORDS = st.from_regex(r"[a-z]{2,8}(?:_[a-z]{2,8}){0,2}", fullmatch=True)
"""Names of any kind: between bars, every one of them is a control word."""
NAMES = st.sampled_from(
    "s bos eos pad unk mask sep cls inst sys system user assistant think answer eot eod image tool_call tool_response "
    "start_of_turn end_of_turn beginning_of_sentence end_of_utterance seed:bos seed:eos fim_prefix fim-suffix "
    "extra_id_7 unused94 reserved_special_token_3 reserved_102 image_soft_token arg_key".split()
)
CAPITALS = st.sampled_from(
    "INST SYSTEM_PROMPT TOOL_CALLS AVAILABLE_TOOLS TOOL_RESULTS CLS SEP MASK PAD UNK IMG".split()
)
FORMS = (
    st.builds("<|{}|>".format, WORDS)
    | st.builds("<|{}>".format, WORDS)
    | st.builds("<{}|>".format, WORDS)
    | st.builds("<|/{}|>".format, WORDS)
    | st.builds("[|{}|]".format, WORDS)
    | st.builds("<{}>".format, NAMES)
    | st.builds("</{}>".format, NAMES)
    | st.builds("<start_of_{}>".format, st.from_regex(r"[a-z]{1,12}", fullmatch=True))
    | st.builds("<extra_id_{}>".format, st.integers(0, 999))
    | st.builds("<unused{}>".format, st.integers(0, 9999))
    | st.builds("[{}]".format, CAPITALS)
    | st.builds("[/{}]".format, CAPITALS)
    | st.sampled_from(["<<SYS>>", "<</SYS>>", "]~b]", "[e~[", "[@BOS@]"])
)
FENCES = st.sampled_from(["</passage>", "<passage>", "<query>", "</query>"])
IDENTIFIERS = st.builds("[{}]".format, st.integers(1, 99)) | st.builds("[{}]".format, st.sampled_from("ABCDEFG"))

UNSEEN = (
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u202e\u2066\u2063\ufe0e\ufe0f\u0301\u0323\u20dd\u180e\U000e0100\U000e0041\x00\x08"
    + "\ufffc\ufffd\u2065\ue000\ufdd0\uffff\u0378\U000f0000"
)
UNREAD = ("Cc", "Cf", "Mn", "Me", "Cn", "Co")
BLANKS = " \t\n\u00a0\u2003\u3000"
ALIKE = {
    "<": "＜﹤⟨〈≪⪡⦑", ">": "＞﹥⟩〉≫⪢⦒", "[": "［【⟦〔⎡", "]": "］】⟧〕⎤", "|": "｜│∣ǀǁ❙❚⎮", "/": "／∕⁄⧵⟋ノ丿", "_": "＿‿ˍ⁀", ":": "：",
    "a": "аα𝐚ａáⓐ", "e": "еｅ𝐞ē", "o": "оοｏ𝗼", "s": "ѕｓ𝐬ś", "p": "рρｐ𝐩", "i": "іｉ𝐢", "c": "сｃ𝐜ç", "n": "ｎ𝐧ñ", "t": "ｔ𝐭",
    "1": "１①𝟏", "2": "２②𝟐", "3": "３٣", "B": "ВΒＢ", "A": "АΑＡ", "I": "ІＩ", "S": "ЅＳ", "T": "ТＴ",
}  # fmt: skip
BACK = {other: plain for plain, others in ALIKE.items() for other in others}


@st.composite
def disguised(draw: st.DrawFn, words: st.SearchStrategy[str], blanks: bool = True) -> tuple[str, str]:
    """A word, and what a reader may take for it."""
    word = draw(words)
    pieces = []
    for place, character in enumerate(word):
        # Outside of the word, an unseen mark would belong to its neighbour.
        if place and draw(st.integers(0, 5)) == 0:
            pieces.append(draw(st.sampled_from(UNSEEN)))
        beside = place and (character in "<>[]|/@~" or word[place - 1] in "<>[]|/@~") and word[0] + character != "<<"
        if blanks and beside and word not in ("<<SYS>>", "<</SYS>>") and draw(st.integers(0, 5)) == 0:
            pieces.append(draw(st.text(BLANKS, min_size=1, max_size=3)))
        change = character in ALIKE and draw(st.integers(0, 3)) == 0
        pieces.append(draw(st.sampled_from(ALIKE[character])) if change else character)
    return word, "".join(pieces)


def as_read(text: str) -> str:
    """What a reader makes of it who sees through every disguise above and overlooks blanks."""
    text = "".join(BACK.get(character, character) for character in text)
    text = "".join(BACK.get(character, character) for character in unicodedata.normalize("NFKD", text))
    return "".join(
        c for c in text if not c.isspace() and unicodedata.category(c) not in UNREAD and c not in "\ufffc\ufffd"
    )


@given(disguised(FORMS))
def test_the_reader_of_these_tests_sees_through_the_disguises(pair: tuple[str, str]) -> None:
    assert as_read(pair[0]) == as_read(pair[1])


@given(disguised(FORMS), st.booleans())
def test_no_control_word_is_left(pair: tuple[str, str], control_only: bool) -> None:
    word, hidden = pair
    done = (neutralise_control if control_only else neutralise)(f"before {hidden} after")
    assert as_read(word).lower() not in as_read(done).lower()
    assert done.startswith("before ")
    assert done.endswith(" after")
    assert len(done) >= len(hidden)


@given(disguised(FENCES))
def test_no_fence_is_left(pair: tuple[str, str]) -> None:
    word, hidden = pair
    for neutral in (neutralise, neutralise_control):
        done = neutral(f"before {hidden} after")
        assert as_read(word) not in as_read(done)
        assert done.endswith(" after")


@given(disguised(IDENTIFIERS))
def test_no_identifier_is_left(pair: tuple[str, str]) -> None:
    word, hidden = pair
    done = neutralise(f"before {hidden} after")
    assert as_read(word) not in as_read(done)
    assert done.endswith(" after")


@examples(60)
@given(st.lists(disguised(FORMS | FENCES | IDENTIFIERS), max_size=4), st.text(max_size=10))
def test_twice_changes_nothing_more_and_nothing_is_left_of_several(pairs: list[tuple[str, str]], between: str) -> None:
    done = neutralise(between.join(hidden for _, hidden in pairs))
    assert neutralise(done) == done


@given(st.lists(disguised(FORMS | FENCES), min_size=1, max_size=3))
def test_what_a_language_model_is_asked_holds_none(pairs: list[tuple[str, str]]) -> None:
    hostile = " ".join(hidden for _, hidden in pairs)
    call = Permutation().call(Asked(None, Query(hostile), (Ranked(Candidate(hostile), 0),)))
    data = call.messages[-1].content.partition("<passage")[2].partition(">")[2].rpartition("</passage>")[0]
    for word, _ in pairs:
        assert as_read(word).lower() not in as_read(data).lower()


@pytest.mark.parametrize("name", wordings())
@examples(30)
@given(st.lists(disguised(FORMS), min_size=1, max_size=3))
def test_what_a_language_model_that_scores_reads_holds_none(name: str, pairs: list[tuple[str, str]]) -> None:
    hostile = " ".join(hidden for _, hidden in pairs)
    made = wording(name)
    own = [run for piece in made.front(hostile, hostile) for run, theirs in piece if theirs]
    passage = made.middle(hostile).removeprefix(made.passage.partition("{passage}")[0])
    for text in (*own, passage):
        for word, _ in pairs:
            assert as_read(word).lower() not in as_read(text).lower()


@pytest.mark.parametrize(
    "text",
    [
        "git revert <commit_id>; curl -H <auth_token>; ip addr <net_mask>; f(<arg_name>)",
        'See [3] and [B]; rows [1, 2]. {"1": 3}',
        "2 > 1 > 3",
        "A | B || C |> D",
        "<b>bold</b> <br/> <user_name> <div class='x'>",
        "vector<int> a[i]; x[0] = y[n]",
        "naïve façade, Zürich, Ελλάδα, Москва, 日本語, हिन्दी, العربية",
    ],
)
def test_of_honest_text_models_that_score_read_every_character(text: str) -> None:
    assert neutralise_control(text) == text


@pytest.mark.parametrize("way", [neutralise, neutralise_control])
@pytest.mark.parametrize(
    "text",
    [
        "彼は「はい」と言った。『本』の「3」ページ、ノート、人々、よく<b>",
        "⌈x⌉ + ⌊y⌋, a ≪ b, x‿y, \ufffd, \ufffc",
        "<div> a < b > c <role> <model> <user_name> [user] [Assistant] [NOTE] <b>bold</b> <start> <end>",
    ],
)
def test_ordinary_text_stays_as_it_is(way: Callable[[str], str], text: str) -> None:
    assert way(text) == text


@pytest.mark.parametrize("way", [neutralise, neutralise_control])
@pytest.mark.parametrize(
    "word",
    (
        "[SYS] [/SYS] [USER] [ASSISTANT] 「INST」 ｢INST｣ ⌈INST⌉ 「/INST」 <role>HUMAN</role> <longcat_user> <system_start> "
        "<startofturn> <tool> <tools> <function_call> <xai:function_call> <mask:1> <fake_token_around_image> "
        "<row_1_col_1> <global-img> <@USER@> <dummy32> <0x0A> <function=foo> <role_end>"
    ).split(),
)
def test_control_words_of_more_templates_are_changed(way: Callable[[str], str], word: str) -> None:
    made = way(f"a {word} b")
    assert made != f"a {word} b"
    assert made[2] in "(‹"
    assert way(made) == made


# --- time -----------------------------------------------------------------------------------------------------------------

UNITS = (
    "<", "< ", "</", "<|", "< | ", "<a", "<a_", "<a-a:", "<|a", "<|a|", "[", "[ ", "[/", "[|", "[|a", "[A_", "[1", "[1,", "]<]", "]~", "{", '{"', "'1'",
    "<start_of_", "<start of a ", "<[", "<<", "◁", "<extra_id_", "< p a s s a g e", "\u0301", "<\u200b", "＜", "a", "1>", "1 > ", "A ", "Doc: 1, ",
)  # fmt: skip
WAYS = {
    "neutralise": neutralise,
    "lettered": lambda text: neutralise(text, lettered=True),
    "control": neutralise_control,
    "plain": PlainText(["</s>", "[SEP]", "[CLS]", "<|im_end|>", *(f"<extra_id_{n}>" for n in range(100))]),
}


def cpu(way: Callable[[str], str], text: str) -> float:
    found = []
    for _ in range(2):
        started = time.thread_time()
        way(text)
        found.append(time.thread_time() - started)
    return min(found)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_time_grows_with_the_length_of_a_text_and_not_its_square(way: Callable[[str], str]) -> None:
    """Between 1,000 and 4,000 characters a square would take 16 times as long."""
    slow = []
    for unit in UNITS:
        short, long = (unit * (size // len(unit)) for size in (1_000, 4_000))
        after = cpu(way, long)
        if after > 0.01 and after > 9 * cpu(way, short) + 0.005:
            slow.append(f"{unit!r}: {after:.3f} s")
    assert not slow
