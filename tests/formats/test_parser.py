from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cria.formats.parser import AnswerParser, ReadableTool
from cria.formats.pieces import Piece, PieceKind
from cria.formats.reasoning_format import GPT_OSS, SOLAR, THINK
from cria.formats.special import MARK, SpecialTexts, unmarked
from cria.formats.tool_format import HERMES
from tests.every_split import splits
from tests.formats.answers import (
    FORMATS,
    GPT,
    LLAMA,
    SPECIAL,
    TOOLS,
    called,
    joined,
    make_parser,
    parse,
    text_of,
)
from tests.formats.rendering import render_calls

PLAIN = SpecialTexts({})
CALL = '<tool_call>\n{"name": "f", "arguments": {"a": "}\\""}}\n</tool_call>'


def read(text: str, **kwargs: Any) -> list[Piece]:
    """The same for every cut of the text in two and for single characters."""
    kwargs = {"tools": HERMES, "reasoning": THINK, **kwargs}
    special = kwargs.pop("special", PLAIN)
    expected = parse(AnswerParser(special, **kwargs), [text])
    for chunks in splits(text):
        assert parse(AnswerParser(special, **kwargs), chunks) == expected
    return expected


def content(text: str) -> Piece:
    return Piece(PieceKind.CONTENT, text)


def reasoning(text: str) -> Piece:
    return Piece(PieceKind.REASONING, text)


def call(name: str, arguments: str) -> list[Piece]:
    kinds = PieceKind.CALL, PieceKind.ARGUMENTS
    return [Piece(kinds[0], name), Piece(kinds[1], arguments), Piece(PieceKind.CALL_END)]


class TestThinking:
    @pytest.mark.parametrize("start", ["<think>", "\n <think>\n\n"])
    def test_blank_lines_around_the_marks_are_dropped(self, start: str) -> None:
        assert read(f"{start} a\n b \n\n</think>\n\n c\n") == [reasoning(" a\n b"), content(" c\n")]

    def test_the_prompt_can_have_opened_it(self) -> None:
        assert read("\na</think>b", is_thinking=True) == [reasoning("a"), content("b")]

    def test_a_model_may_open_it_again(self) -> None:
        assert read("<think>\na</think>b", is_thinking=True) == [reasoning("a"), content("b")]

    def test_without_an_end_it_stays_thinking(self) -> None:
        assert read("<think>a </thin") == [reasoning("a </thin")]

    def test_nothing_thought(self) -> None:
        assert read("<think>\n\n</think>\n\nb") == [content("b")]

    @pytest.mark.parametrize("text", ["a <think>b</think>", "</think> a"])
    def test_later_on_it_is_text(self, text: str) -> None:
        assert read(text) == [content(text)]

    def test_between_calls(self) -> None:
        calls = [*call("f", '{"a": "}\\""}')]
        assert read(f"<think>a</think>{CALL}\n<think>\nb</think>\n{CALL}") == [
            reasoning("a"), *calls, reasoning("b"), *calls
        ]  # fmt: skip

    def test_it_is_text_where_no_format_tells_it(self) -> None:
        assert read("<think>a</think>b", reasoning=None) == [content("<think>a</think>b")]

    def test_plain_letters_are_no_control_token(self) -> None:
        special = SpecialTexts({"<think>": 1, "</think>": 2})
        text = "<think>a</think>"
        assert read(text, special=special) == [content(text)]
        marked = special.marked("<think>") + text + special.marked("</think>")
        assert read(marked, special=special) == [reasoning(text)]

    def test_tokens_are_counted_by_what_comes_next(self) -> None:
        parser = AnswerParser(PLAIN, reasoning=THINK)
        seen = []
        for token in ["<think>", "a", "</think>", "b"]:
            seen.append(parser.is_thinking)
            parser.feed(token)
        assert seen == [False, True, True, False]
        assert not parser.is_thinking

    def test_channels(self) -> None:
        text = (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b"
        )
        text = SPECIAL.marked(text)
        kwargs = {"special": SPECIAL, "reasoning": GPT_OSS, "tools": GPT}
        assert read(text, **kwargs) == [reasoning("a"), content("b")]

    @pytest.mark.parametrize(
        "written",
        [
            " to=functions.f<|channel|>commentary json<|message|>{}",
            "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
        ],
    )
    def test_calls_in_channels(self, written: str) -> None:
        text = SPECIAL.marked(
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary"
            f"<|message|>b<|end|><|start|>assistant{written}"
        )
        kwargs = {"special": SPECIAL, "reasoning": GPT_OSS, "tools": GPT}
        assert read(text, **kwargs) == [reasoning("a"), content("b"), *call("f", "{}")]


class TestCalls:
    def test_one_that_begins_like_a_header(self) -> None:
        tools = HERMES._replace(begin="<|begin|>assistant<|calls|>")
        text = f"<|think|>a<|end|><|begin|>assistant<|calls|>{CALL}"
        expected = [reasoning("a"), *call("f", '{"a": "}\\""}')]
        assert read(text, tools=tools, reasoning=SOLAR) == expected

    def test_blanks_around_them_are_no_text(self) -> None:
        arguments = '{"a": "}\\""}'
        assert read(f"Hi \n{CALL}\n\n{CALL} bye ") == [
            content("Hi"), *call("f", arguments), *call("f", arguments), content("bye ")
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "text",
        [
            "<tool_call>",
            "a <tool_call> b",
            "<tool_call><tool_call>",
            '<tool_call>\n{"name": "f"}',
            '<tool_call>\n{"name": "f", "arguments": []}',
            '<tool_call>\n{"name": "", "arguments": {}}',
            f'<tool_call>\n{{"name": "{"f" * 200}", "arguments": {{}}}}',
            '<tool_call>\n{"name": "f", "argu',
        ],
    )
    def test_what_only_begins_like_one_is_text(self, text: str) -> None:
        assert read(text) == [content(text)]

    def test_blanks_do_not_matter(self) -> None:
        text = '<tool_call> { "name" : "f" , "arguments":  {} } </tool_call>'
        assert read(text) == call("f", "{}")

    def test_a_cut_answer(self) -> None:
        whole = call("f", '{"a": ')
        assert read(CALL[: CALL.index('"}\\')]) == whole[:2]
        assert read(CALL[:-3]) == read(CALL)

    def test_text_after_one_that_is_not_closed(self) -> None:
        text = '<tool_call>\n{"name": "f", "arguments": {}}\nhm'
        assert read(text) == [*call("f", "{}"), content("}\nhm")]

    def test_an_unknown_name(self) -> None:
        assert read(CALL, callable=TOOLS[:1])[0] == Piece(PieceKind.CALL, "f")

    def test_a_whole_answer(self) -> None:
        text = '{"name": "f", "parameters": {"a": 1}}'
        assert read(text, tools=LLAMA) == call("f", '{"a": 1}')
        for other in ("Hi " + text, '{"name": "f"}'):
            assert read(other, tools=LLAMA) == [content(other)]

    def test_names_without_a_mark(self) -> None:
        special = {"special": SPECIAL, "tools": FORMATS["functionary"][0], "callable": TOOLS}
        text = 'all\nHi\nthere>>>f\n{"a": 1}>>>get_weather\n{}'
        expected = [content("Hi\nthere"), *call("f", '{"a": 1}'), *call("get_weather", "{}")]
        assert read(text, **special) == expected
        for other in ("allow\n{}", "other\n{}", "a>>>b"):
            assert read(other, **special) == [content(other)]

    def test_text_for_a_tool_that_takes_text(self) -> None:
        tool = ReadableTool("f", {}, is_text=True)
        text = '<tool_call>\n{"name": "f", "arguments": {"input": "a\\n\\"\\u00e9"}}\n</tool_call>'
        assert read(text, callable=[tool]) == call("f", 'a\n"é')

    def test_text_that_is_cut_before_it_begins(self) -> None:
        tool = ReadableTool("f", {}, is_text=True)
        start = '<tool_call>\n{"name": "f", "arguments": '
        for begun in ("{", '{\n  "inp', '{"input":', '{"input": "'):
            pieces = read(start + begun, callable=[tool])
            assert (
                "".join(piece.text for piece in pieces if piece.kind is PieceKind.ARGUMENTS) == ""
            )
            assert pieces[0] == Piece(PieceKind.CALL, "f")
        assert "".join(p.text for p in read(start + '{"other": 1', callable=[tool])[1:]) == (
            '{"other": 1'
        )

    def test_raw_text(self) -> None:
        tool = ReadableTool("f", {}, is_raw=True)
        text = '<tool_call>\n{"name": "f", "arguments": a} {"b"}\n</tool_call>'
        assert read(text, callable=[tool]) == call("f", 'a} {"b"')
        text = SPECIAL.marked(
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n\na\n```\n"
            "\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
        )
        kwargs = {"special": SPECIAL, "tools": FORMATS["deepseek"][0], "callable": [tool]}
        assert read(text, **kwargs) == call("f", "\na\n```\n")

    def test_no_mark_is_ever_seen(self) -> None:
        text = SPECIAL.marked('<tool_call>\n{"name": "f", "arguments": {"a": "<|call|>"}}<|end|>')
        pieces = read(text, special=SPECIAL)
        assert MARK not in "".join(piece.text for piece in pieces)

    def test_without_tools_all_is_text(self) -> None:
        assert read(CALL + " ", tools=None) == [content(CALL + " ")]


def test_only_what_may_be_a_mark_is_held_back() -> None:
    parser = AnswerParser(PLAIN, tools=HERMES, reasoning=THINK)
    fed = [parser.feed(text) for text in ["a", "b <too", "l", "x", ' <tool_call>{"name": "f"']]
    assert fed == [[content("a")], [content("b")], [], [content(" <toolx")], []]
    assert parser.feed(', "arguments": {"a')[-1] == Piece(PieceKind.ARGUMENTS, '{"a')


@pytest.mark.parametrize(
    "text",
    [
        "x", " ", "<", "<tool_call>", '<tool_call>\n{"name": "', '"', "{",
    ],
)  # fmt: skip
@pytest.mark.parametrize("start", ["", "<think>", CALL[:45]])
def test_the_time_is_linear_in_the_text(text: str, start: str) -> None:
    """A rescan of what has been read would take minutes."""
    size = 250_000
    for chunk in (1, size):
        parser = AnswerParser(PLAIN, tools=HERMES, reasoning=THINK)
        parser.feed(start)
        whole = text * (size // len(text))
        began = time.process_time()
        for i in range(0, size, chunk):
            parser.feed(whole[i : i + chunk])
        parser.flush()
        assert time.process_time() - began < 5


FRAGMENTS = st.sampled_from(
    [
        "<", "think>", "<think>", "</think>", "<tool_call>", "</tool_call>", "\n", " ", "{", "}",
        '{"name": "', "f", "get_weather", '", "arguments": ', '"', "\\", "[", "]", ",", "'", "=",
        "<function=", "<parameter=", ">", "</parameter>", "<arg_key>", "</arg_key>", "<arg_value>",
        "</arg_value>", "[TOOL_CALLS]", "<|tool_call>", "call:", '<|"|>', "<tool_call|>", "(", ")",
        "<|tool_call_start|>[", "]<|tool_call_end|>", ">>>", "all\n", "f\n", " to=functions.f",
        "<|channel|>", "commentary", " json<|message|>", "<|message|>", "<|end|>", "<|start|>",
        '{"a": 1}', '{"name": "f", "parameters": {}}', "5", "text", ":", "é", "😀", "\\u12", MARK,
    ]
)  # fmt: skip
TEXTS = st.lists(FRAGMENTS | st.text(max_size=5), max_size=20).map("".join)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def cut(text: str, cuts: list[int]) -> list[str]:
    at = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    return [text[a:b] for a, b in zip(at, at[1:], strict=False)]


@settings(max_examples=800, deadline=None)
@given(
    st.sampled_from(sorted(FORMATS)), TEXTS, st.booleans(), st.booleans(), CUTS
)  # fmt: skip
def test_any_text_is_read_alike_however_it_is_cut(
    name: str, text: str, is_marked: bool, is_thinking: bool, cuts: list[int]
) -> None:
    text = SPECIAL.marked(text) if is_marked else text
    whole = parse(make_parser(name, is_thinking=is_thinking), [text])
    assert parse(make_parser(name, is_thinking=is_thinking), cut(text, cuts)) == whole
    check_order(whole)


def check_order(pieces: list[Piece]) -> None:
    """Arguments only in a call, its end only after one, thinking before content."""
    is_open = has_content = False
    for piece in pieces:
        if piece.kind is PieceKind.CALL:
            assert not is_open
            is_open = True
        elif piece.kind is PieceKind.CALL_END:
            assert is_open
            is_open = False
        else:
            assert is_open == (piece.kind is PieceKind.ARGUMENTS)
            assert piece.text and MARK not in piece.text
            has_content |= piece.kind is PieceKind.CONTENT
            assert not (has_content and piece.kind is PieceKind.REASONING)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(set(FORMATS) - {"gpt-oss", "functionary"})), TEXTS, CUTS)
def test_no_text_is_lost(name: str, text: str, cuts: list[int]) -> None:
    pieces = parse(make_parser(name), cut(text, cuts))
    if {piece.kind for piece in pieces} == {PieceKind.CONTENT}:
        assert text_of(pieces).strip() in unmarked(text) or "think" in text or "thought" in text
        kept = "".join(text_of(pieces).split())
        lost = len("".join(unmarked(text).split())) - len(kept)
        # An empty thought leaves nothing.
        assert lost == 0 or lost >= len("<think></think>")


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(st.characters(codec="utf-8", exclude_characters=MARK + "<"), max_size=12),
    "number": st.integers(),
    "flag": st.booleans(),
    "things": st.lists(st.integers() | st.text("ab c,]'\\", max_size=4), max_size=3),
    "object": st.dictionaries(
        st.sampled_from(["k", "l"]), st.none() | st.text("ab}\"'", max_size=4), max_size=2
    ),
}
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["f", "get_weather"]),
        st.sets(st.sampled_from(sorted(VALUES))).flatmap(
            lambda keys: st.fixed_dictionaries({key: VALUES[key] for key in sorted(keys)})
        ),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(sorted(FORMATS)), CALLS, CUTS, st.booleans())
def test_calls_come_back_as_they_were_written(
    name: str, calls: list[tuple[str, dict[str, Any]]], cuts: list[int], has_text: bool
) -> None:
    format, _ = FORMATS[name]
    if name in ("gpt-oss", "llama"):
        calls = calls[:1]
    text = SPECIAL.marked(render_calls(format, calls))
    if has_text and name not in ("llama", "functionary"):
        text = "Look:\n" + text
    pieces = parse(make_parser(name), cut(text, cuts))
    assert [(n, json.loads(arguments)) for n, arguments in called(pieces)] == calls
    assert text_of(pieces) in ("", "Look:")
    assert joined(pieces)[-1].kind is PieceKind.CALL_END
