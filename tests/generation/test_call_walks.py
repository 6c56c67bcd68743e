"""Answers that a grammar allows, chosen at random token by token, are read as what they must be.

The vocabulary is single bytes; the formats are those of `tests.formats.answers`. Walks copy marks
and parts of them into texts and values, where they mean nothing.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest

from cria.api.chat import ChatCompletionRequest
from cria.formats.marked_formats import format_texts
from cria.formats.model_formats import ModelFormats
from cria.formats.pieces import Piece, PieceKind
from cria.formats.special import SpecialTexts
from cria.generation.constraining import Constraining
from cria.generation.shaping import Shape, Shaping
from cria.output.parsed import ParsedOutput
from cria.prompt.tokenizer import Tokenizer
from tests.constraint.byte_grammars import END, NUM_WORDS, make_compiler
from tests.formats.answers import FORMATS
from tests.prompt.fake_vocab import FakeVocab

COMPILER = make_compiler()
MAX_BYTES = 600
KEYS = ["a", "b", "city", "é", "x y", "b\\s", "name", "a=b", 'q"q', "{x", "<a>"]
CUSTOM = {
    "regex": ("[a-d]{2,4}", "[a-d]{2,4}"),
    "lark": ('start: "go " /[0-9]{1,3}/', "go [0-9]{1,3}"),
}
SCHEMAS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "string", "maxLength": 4},
    {"type": "string", "pattern": "^[a-c]{1,3}$"},
    {"type": ["string", "null"]},
    {"type": "integer"},
    {"type": "number", "minimum": 0, "maximum": 10},
    {"type": "boolean"},
    {"enum": ["a", 'b"c', "é", 1, None, "</parameter>", "line\nline"]},
    {"const": 5},
    {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]},
    {"type": "string", "pattern": '^[^"<]*$', "maxLength": 9},
    {"allOf": [{"$ref": "#/$defs/unit"}]},
    {"enum": ["1", "true", 2.5]},
    {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    {"type": "array", "items": {"anyOf": [{"const": "x"}, {"type": "null"}]}, "minItems": 1},
    {"type": "object", "properties": {"k": {"type": "string"}}, "additionalProperties": False},
    {"type": "object", "properties": {"a,b": {"$ref": "#/$defs/unit"}}, "required": ["a,b"]},
]

SHAPE = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def tool_of(chance: random.Random, name: str) -> dict[str, Any]:
    if chance.random() < 0.2:
        syntax = chance.choice(list(CUSTOM))
        grammar = {"syntax": syntax, "definition": CUSTOM[syntax][0]}
        format = {"type": "grammar", "grammar": grammar}
        return {"type": "custom", "custom": {"name": name, "format": format}}
    properties = {key: chance.choice(SCHEMAS) for key in chance.sample(KEYS, chance.randint(0, 3))}
    schema = {
        "type": "object",
        "properties": properties,
        "required": [key for key in properties if chance.random() < 0.6],
        "additionalProperties": False,
        "$defs": {"unit": {"enum": ["c", "f"]}},
    }
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def walk(chance: random.Random, source: str, hints: list[str]) -> tuple[bytes, bool]:
    """The answer, and whether it came to an end."""
    matcher, answer, copied = COMPILER.matcher(source), bytearray(), b""
    bits = np.zeros((1, NUM_WORDS), np.int32)
    while len(answer) < MAX_BYTES and not matcher.is_over:
        if copied and matcher.take(copied[0]):
            answer.append(copied[0])
            copied = copied[1:]
            continue
        copied = chance.choice(hints).encode() if chance.random() < 0.1 else b""
        matcher.fill_allowed(bits)
        assert not matcher.problem
        allowed = set(np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little")))
        assert allowed, "nothing can follow"
        closing = [byte for byte in b'"}],:<' if byte in allowed]
        printable = sorted(byte for byte in allowed if 32 <= byte < 127 or byte == 10)
        if END in allowed and (not printable or chance.random() < 0.2):
            return bytes(answer), True
        wanted = closing if closing and chance.random() < 0.4 else printable or sorted(allowed)
        token = int(chance.choice(wanted))
        assert matcher.take(token)
        answer.append(token)
    return bytes(answer), matcher.is_over


def read(chance: random.Random, shape: Shape, answer: bytes) -> list[Piece]:
    output = shape.make_output()
    assert isinstance(output, ParsedOutput)
    pieces, rest = [], list(answer)
    while rest:
        size = chance.randint(1, 9)
        pieces += output.feed(rest[:size])
        rest = rest[size:]
    return [*pieces, *output.flush()]


def calls_of(pieces: list[Piece]) -> Iterator[tuple[str, str]]:
    """Names and arguments; every call is complete."""
    name, arguments = "", ""
    for piece in pieces:
        if piece.kind is PieceKind.CALL:
            name, arguments = piece.text, ""
        elif piece.kind is PieceKind.ARGUMENTS:
            arguments += piece.text
        elif piece.kind is PieceKind.CALL_END:
            yield name, arguments
            name = ""
    assert not name


def check_call(tool: dict[str, Any], arguments: str) -> None:
    if tool["type"] == "custom":
        syntax = tool["custom"]["format"]["grammar"]["syntax"]
        assert re.fullmatch(CUSTOM[syntax][1], arguments)
    else:
        jsonschema.validate(json.loads(arguments), tool["function"]["parameters"])


def fields_of(chance: random.Random, tools: list[dict[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    fields |= {"tools": tools, "tool_choice": chance.choice(["auto", "required", "required"])}
    fields["parallel_tool_calls"] = chance.random() < 0.6
    if chance.random() < 0.4:
        fields["reasoning_budget"] = chance.choice([1, 9, 3000])
    if chance.random() < 0.2 and all(tool["type"] == "function" for tool in tools):
        schema = {"name": "x", "schema": SHAPE}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    return fields


def check_texts(fields: dict[str, Any], pieces: list[Piece], *, has_calls: bool) -> None:
    """Of a whole answer."""
    texts = {
        kind: "".join(piece.text for piece in pieces if piece.kind is kind)
        for kind in (PieceKind.CONTENT, PieceKind.REASONING)
    }
    content, thinking = texts[PieceKind.CONTENT], texts[PieceKind.REASONING].encode()
    if fields["tool_choice"] == "required":
        assert has_calls and not content.strip()
    elif "response_format" in fields and not has_calls:
        jsonschema.validate(json.loads(content), SHAPE)
    assert len(thinking) < fields.get("reasoning_budget", MAX_BYTES) + 4  # a code point is whole


@pytest.mark.parametrize("family", FORMATS)
@pytest.mark.parametrize("seed", range(16))
def test_what_the_grammar_allows_is_read_as_calls_that_fit(family: str, seed: int) -> None:
    chance = random.Random(f"{family} {seed}")
    tools, reasoning = FORMATS[family]
    tools = tools._replace(is_whole=tools.is_whole or not isinstance(tools.call[0], str))
    formats = ModelFormats(tools, reasoning, SpecialTexts({}))
    names = chance.sample(["f", "f1", "get_weather", "get-x"], chance.randint(1, 3))
    given = {name: tool_of(chance, name) for name in names}
    fields = fields_of(chance, list(given.values()))
    shaping = Shaping(formats, Constraining(lambda: COMPILER), Tokenizer(FakeVocab()))
    prompt = reasoning.open.encode() if reasoning and chance.random() < 0.5 else b""
    shape = shaping.shape(msgspec.convert(fields, ChatCompletionRequest), list(prompt))
    texts = [text for text in format_texts(tools, reasoning) if text]
    hints = texts + [text[: chance.randint(1, len(text))] for text in texts]
    answer, is_over = walk(chance, shape.grammar.source, hints)
    pieces = read(chance, shape, answer)
    if not is_over:
        return
    calls = list(calls_of(pieces))
    for name, arguments in calls:
        check_call(given[name], arguments)
    check_texts(fields, pieces, has_calls=bool(calls))
    assert fields["parallel_tool_calls"] or len(calls) < 2
