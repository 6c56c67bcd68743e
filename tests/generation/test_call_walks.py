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
KEYS = ["a", "b", "city", "é", "x y", "b\\s", "name"]
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
]
NESTED: list[dict[str, Any]] = [
    {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    {"type": "object", "properties": {"k": {"type": "string"}}, "additionalProperties": False},
]


def tool_of(chance: random.Random, name: str, *, may_nest: bool) -> dict[str, Any]:
    if chance.random() < 0.2:
        syntax = chance.choice(list(CUSTOM))
        grammar = {"syntax": syntax, "definition": CUSTOM[syntax][0]}
        format = {"type": "grammar", "grammar": grammar}
        return {"type": "custom", "custom": {"name": name, "format": format}}
    schemas = SCHEMAS + (NESTED if may_nest else [])
    properties = {key: chance.choice(schemas) for key in chance.sample(KEYS, chance.randint(0, 3))}
    schema = {
        "type": "object",
        "properties": properties,
        "required": [key for key in properties if chance.random() < 0.6],
        "additionalProperties": False,
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


@pytest.mark.parametrize("family", FORMATS)
@pytest.mark.parametrize("seed", range(12))
def test_what_the_grammar_allows_is_read_as_calls_that_fit(family: str, seed: int) -> None:
    chance = random.Random(f"{family} {seed}")
    tools, reasoning = FORMATS[family]
    tools = tools._replace(is_whole=tools.is_whole or not isinstance(tools.call[0], str))
    formats = ModelFormats(tools, reasoning, SpecialTexts({}))
    # Containers of quoted values are held to their type alone.
    may_nest = tools.keyed is None or tools.keyed.values != "quoted"
    names = chance.sample(["f", "f1", "get_weather", "get-x"], chance.randint(1, 3))
    given = {name: tool_of(chance, name, may_nest=may_nest) for name in names}
    fields = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    choice = chance.choice(["auto", "required", "required"])
    fields |= {"tools": list(given.values()), "tool_choice": choice}
    is_parallel = fields["parallel_tool_calls"] = chance.random() < 0.6
    shaping = Shaping(formats, Constraining(lambda: COMPILER), Tokenizer(FakeVocab()))
    shape = shaping.shape(msgspec.convert(fields, ChatCompletionRequest), [])
    texts = [text for text in format_texts(tools, reasoning) if text]
    hints = texts + [text[: chance.randint(1, len(text))] for text in texts]
    answer, is_over = walk(chance, shape.grammar.source, hints)
    pieces = read(chance, shape, answer)
    if not is_over:
        return
    calls = list(calls_of(pieces))
    for name, arguments in calls:
        check_call(given[name], arguments)
    if choice == "required":
        assert calls and not any(p.text.strip() for p in pieces if p.kind is PieceKind.CONTENT)
    assert is_parallel or len(calls) < 2
