"""Grammars and parsers of chats, with a vocabulary of bytes and a few control tokens."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from cria.api.chat import ChatCompletionRequest
from cria.api.completions import CompletionRequest
from cria.errors import RequestError
from cria.formats.model_formats import ModelFormats
from cria.formats.pieces import Piece, PieceKind
from cria.formats.reasoning_format import THINK
from cria.formats.special import SpecialTexts
from cria.formats.tool_format import HERMES
from cria.generation.constraining import Constraining
from cria.generation.shaping import Shape, Shaping, compiles
from cria.output.parsed import ParsedOutput
from cria.output.processor import OutputProcessor
from cria.prompt.tokenizer import Tokenizer
from tests.constraint.byte_grammars import make_compiler, takes
from tests.prompt.fake_vocab import FakeVocab

HI = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
ADD = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}
FORCED = {"tool_choice": "required"}
CALL = '<tool_call>\n{"name": "add", "arguments": {"a":1}}\n</tool_call>'


def tool(schema: dict[str, Any] = ADD, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "add", "parameters": schema, **more}}


def chat(**fields: Any) -> ChatCompletionRequest:
    return msgspec.convert({**HI, **fields}, ChatCompletionRequest)


def shape(prompt: str = "", *, thinks: bool = False, **fields: Any) -> Shape:
    formats = ModelFormats(HERMES, THINK if thinks else None, SpecialTexts({}))
    shaping = Shaping(formats, Constraining(make_compiler), Tokenizer(FakeVocab()))
    return shaping.shape(chat(**fields), list(prompt.encode()))


def accepts(made: Shape, text: str) -> bool:
    return takes(make_compiler().matcher(made.grammar.source), text)


def read(made: Shape, text: str) -> list[Piece]:
    output = made.make_output()
    assert isinstance(output, ParsedOutput)
    return joined([*output.feed(text.encode()), *output.flush()])


def joined(pieces: list[Piece]) -> list[Piece]:
    found: list[Piece] = []
    for piece in pieces:
        if found and piece.kind is found[-1].kind:
            piece = Piece(piece.kind, found.pop().text + piece.text)
        found.append(piece)
    return found


def test_a_plain_chat_has_no_grammar_and_is_text() -> None:
    made = shape()
    assert made.grammar.source == "" and not compiles(chat())
    assert isinstance(made.make_output(), OutputProcessor)


def test_a_completion_is_text() -> None:
    request = msgspec.convert({"model": "m", "prompt": "a", "regex": "b+"}, CompletionRequest)
    shaping = Shaping(ModelFormats(), Constraining(make_compiler), Tokenizer(FakeVocab()))
    made = shaping.shape(request, [97])
    assert accepts(made, "bb") and compiles(request)
    assert isinstance(made.make_output(), OutputProcessor)


def test_a_forced_call_fits_its_schema() -> None:
    made = shape(tools=[tool()], **FORCED)
    assert accepts(made, CALL)
    assert not accepts(made, "text")
    assert not accepts(made, CALL.replace('"a":1', '"a":"1"'))
    name, arguments, end = read(made, CALL)
    assert (name, arguments.text, end.kind) == (
        Piece(PieceKind.CALL, "add"),
        '{"a":1}',
        PieceKind.CALL_END,
    )


def test_the_model_may_answer_in_words_unless_it_must_call() -> None:
    made = shape(tools=[tool()])
    assert accepts(made, "Just so.") and accepts(made, f"Well:\n{CALL}")
    assert read(made, "Just so.") == [Piece(PieceKind.CONTENT, "Just so.")]


def test_what_may_not_be_called_is_text() -> None:
    made = shape(tools=[tool()], tool_choice="none")
    assert made.grammar.source == "" and not compiles(chat(tools=[tool()], tool_choice="none"))


def test_a_call_or_content_of_a_shape() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": ADD}}
    made = shape(tools=[tool()], response_format=wanted)
    assert accepts(made, CALL) and accepts(made, '{"a":1}')
    assert not accepts(made, "Just so.")


def test_custom_tools_are_told_and_read_as_text() -> None:
    grammar = {"syntax": "lark", "definition": 'start: "go " /[0-9]+/'}
    custom = {"name": "run", "format": {"type": "grammar", "grammar": grammar}}
    made = shape(tools=[{"type": "custom", "custom": custom}], **FORCED)
    text = '<tool_call>\n{"name": "run", "arguments": go 12}\n</tool_call>'
    assert made.tool_kinds == {"run": "custom"} and accepts(made, text)
    assert Piece(PieceKind.ARGUMENTS, "go 12") in read(made, text)


def test_a_strict_tool_that_cannot_be_enforced_is_refused() -> None:
    bad = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    with pytest.raises(RequestError) as caught:
        shape(tools=[tool(bad, strict=True)])
    assert caught.value.param == "tools[0].function.parameters"
    assert caught.value.code == "invalid_function_parameters"
    assert str(caught.value).startswith(
        "Invalid schema for function 'add': In context=(properties.a.uniqueItems), "
    )


@pytest.mark.parametrize(
    ("schema", "warning"),
    [
        (
            {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}},
            ".properties.a.uniqueItems",
        ),
        ({"type": "object", "$ref": "http://elsewhere/x"}, ""),
    ],
)
def test_else_what_cannot_be_enforced_is_listed(schema: dict[str, Any], warning: str) -> None:
    made = shape(tools=[tool(schema)], **FORCED)
    assert accepts(made, CALL.replace("1", "[1,1]"))
    assert made.grammar.warnings == (f"tools[0].function.parameters{warning}",)


def test_schemas_that_are_too_large_together() -> None:
    enum = {"enum": [f"{number:04}" + "x" * 1000 for number in range(400)]}
    schema = {"type": "object", "properties": {"a": enum}}
    tools = [tool(schema), tool({**schema, "title": "another"})]
    tools[1]["function"]["name"] = "other"
    with pytest.raises(RequestError) as caught:
        shape(tools=tools)
    assert caught.value.param == "tools"


def test_thinking_is_told_from_the_answer_wherever_it_begins() -> None:
    thought = [Piece(PieceKind.REASONING, "hm"), Piece(PieceKind.CONTENT, "so")]
    assert read(shape(thinks=True), "<think>hm</think>so") == thought
    assert read(shape("...<think>\n", thinks=True), "hm</think>so") == thought
    closed = shape("<think></think>", thinks=True)
    assert read(closed, "so") == thought[1:]


def test_thinking_may_stay_in_the_text() -> None:
    made = shape(thinks=True, reasoning_format="none")
    assert isinstance(made.make_output(), OutputProcessor)


@pytest.mark.parametrize("begin", ["", "<think>"])
def test_thinking_that_stays_in_the_text_has_no_calls_in_it(begin: str) -> None:
    made = shape(begin, thinks=True, reasoning_format="none", tools=[tool()])
    thought = "<think>"[len(begin) :] + f"I could {CALL}.</think>"
    assert accepts(made, f"{thought}\n{CALL}")
    content, *call = read(made, f"{thought}\n{CALL}")
    assert content == Piece(PieceKind.CONTENT, thought)
    assert [piece.kind for piece in call] == list(PieceKind)[2:]
    assert read(made, thought[:-4]) == [Piece(PieceKind.CONTENT, thought[:-4])]


def test_a_shape_holds_for_the_answer_not_for_the_thinking() -> None:
    made = shape(thinks=True, response_format={"type": "json_object"})
    assert accepts(made, "<think>hm</think>{}") and accepts(made, "{}")
    assert not accepts(made, "<think>hm</think>so")
    opened = shape("<think>", thinks=True, response_format={"type": "json_object"})
    assert accepts(opened, "hm</think>{}")


def test_calls_come_after_thinking() -> None:
    made = shape("<think>", thinks=True, tools=[tool()], **FORCED)
    assert accepts(made, f"hm\n</think>\n\n{CALL}")
    assert [piece.kind for piece in read(made, f"hm</think>\n{CALL}")][:2] == [
        PieceKind.REASONING,
        PieceKind.CALL,
    ]


def test_a_budget_ends_the_thinking() -> None:
    made = shape("<think>", thinks=True, reasoning_budget=3)
    long = "a" * 20
    assert accepts(made, "abc</think>so") and not accepts(made, f"{long}</think>so")
    assert compiles(chat(reasoning_budget=3))


@pytest.mark.parametrize("budget", [1, 1000, 2**31 - 1])
def test_a_budget_of_any_size(budget: int) -> None:
    made = shape("<think>", thinks=True, reasoning_budget=budget, tools=[tool()])
    assert accepts(made, "x</think>Hi")
    assert accepts(made, "xx" + "</think>Hi") == (budget > 1)


def test_an_answer_of_a_shape_may_quote_a_call() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    format = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    made = shape(tools=[tool()], response_format=format)
    quoted = json.dumps({"a": CALL})
    assert accepts(made, quoted) and read(made, quoted) == [Piece(PieceKind.CONTENT, quoted)]
    # As text between a newline, which JSON has not, it would be a call.
    kinds = [piece.kind for piece in read(made, CALL)]
    assert accepts(made, CALL) and PieceKind.CALL in kinds


def test_schemas_of_strange_types_are_hints_or_refused() -> None:
    strange: list[Any] = [
        {"properties": 5},
        {"required": "a"},
        {"anyOf": [5]},
        {"minProperties": []},
    ]
    for schema in strange:
        made = shape(tools=[tool({"type": "object", **schema})], **FORCED)
        assert made.grammar.warnings == ("tools[0].function.parameters",)
        with pytest.raises(RequestError):
            shape(tools=[tool({"type": "object", **schema}, strict=True)], **FORCED)


def test_a_model_that_shall_not_think_and_has_begun_has_to_stop() -> None:
    made = shape("<think>", thinks=True, reasoning_budget=0)
    assert accepts(made, "</think>so") and not accepts(made, "abcdefgh</think>so")
    assert shape("", thinks=True, reasoning_budget=0).grammar.source == ""


def test_a_budget_of_a_model_without_thinking_is_reported() -> None:
    assert shape(reasoning_budget=3).grammar.warnings == ("reasoning_budget",)
    assert shape(reasoning_budget=0).grammar.warnings == ()


def test_a_continued_message_is_not_thinking() -> None:
    messages = [*HI["messages"], {"role": "assistant", "content": "<think>"}]  # type: ignore[misc]
    made = shape("<think>", thinks=True, messages=messages)
    assert read(made, "so") == [Piece(PieceKind.CONTENT, "so")]


def test_control_tokens_of_the_formats_are_seen_by_the_parser() -> None:
    vocab = FakeVocab()
    format = HERMES._replace(call=("<|im_start|>", *HERMES.call[1:4], "<|im_end|>"))
    control = {text.decode(): i for i, text in enumerate(vocab.control_pieces) if i >= 256}
    formats = ModelFormats(format, None, SpecialTexts(control))
    shaping = Shaping(formats, Constraining(make_compiler), Tokenizer(vocab))
    made = shaping.shape(chat(tools=[tool()]), [])
    start, end = control["<|im_start|>"], control["<|im_end|>"]
    called = made.make_output().feed([start, *b'add", "arguments": {}', end])
    assert called[0] == Piece(PieceKind.CALL, "add")
    text = made.make_output()
    assert isinstance(text, ParsedOutput)
    spelled = [*text.feed(b"<|im_start|>add"), *text.flush()]
    assert "".join(piece.text for piece in spelled) == "<|im_start|>add"
