"""Formats of several families, written down once for the tests, and a parser run over a text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cria.formats.keyed_reader import ReadableTool
from cria.formats.parser import AnswerParser
from cria.formats.pieces import Piece, PieceKind
from cria.formats.reasoning_format import GEMMA_4, GPT_OSS, THINK, ReasoningFormat
from cria.formats.special import SpecialTexts
from cria.formats.tool_format import HERMES, KeyedArguments, Slot, ToolFormat

NAME, ARGUMENTS, ID, INDEX = Slot.NAME, Slot.ARGUMENTS, Slot.ID, Slot.INDEX

QWEN_CODER = ToolFormat(
    ("<tool_call>\n<function=", NAME, ">\n", ARGUMENTS, "</function>\n</tool_call>"),
    between="\n",
    keyed=KeyedArguments("<parameter=", ">\n", "\n</parameter>\n"),
)
GLM = ToolFormat(
    ("<tool_call>", NAME, "\n", ARGUMENTS, "</tool_call>"),
    between="\n",
    keyed=KeyedArguments("<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n"),
)
DSML = ToolFormat(
    ('<｜DSML｜invoke name="', NAME, '">\n', ARGUMENTS, "</｜DSML｜invoke>"),
    begin="<｜DSML｜function_calls>\n",
    between="\n",
    end="\n</｜DSML｜function_calls>",
    keyed=KeyedArguments(
        '<｜DSML｜parameter name="',
        '" string="false">',
        "</｜DSML｜parameter>\n",
        key_close_text='" string="true">',
    ),
)
NEMO = ToolFormat(
    ('{"name": "', NAME, '", "arguments": ', ARGUMENTS, ', "id": "', ID, '"}'),
    begin="[TOOL_CALLS][",
    between=", ",
    end="]",
)
DEEPSEEK = ToolFormat(
    (
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
        NAME,
        "\n```json\n",
        ARGUMENTS,
        "\n```<｜tool▁call▁end｜>",
    ),
    begin="<｜tool▁calls▁begin｜>",
    between="\n",
    end="<｜tool▁calls▁end｜>",
)
KIMI = ToolFormat(
    (
        "<|tool_call_begin|>functions.",
        NAME,
        ":",
        INDEX,
        "<|tool_call_argument_begin|>",
        ARGUMENTS,
        "<|tool_call_end|>",
    ),
    begin="<|tool_calls_section_begin|>",
    end="<|tool_calls_section_end|>",
)
GEMMA = ToolFormat(
    ("<|tool_call>call:", NAME, ARGUMENTS, "<tool_call|>"),
    keyed=KeyedArguments("", ":", "", values="quoted", open="{", between=",", close="}"),
)
LFM2 = ToolFormat(
    (NAME, ARGUMENTS),
    begin="<|tool_call_start|>[",
    between=", ",
    end="]<|tool_call_end|>",
    keyed=KeyedArguments("", "=", "", values="python", open="(", between=", ", close=")"),
)
LLAMA = ToolFormat(('{"name": "', NAME, '", "parameters": ', ARGUMENTS, "}"), is_whole=True)
FUNCTIONARY = ToolFormat((NAME, "\n", ARGUMENTS), between=">>>")
GPT = ToolFormat(
    (
        " to=functions.",
        NAME,
        "<|channel|>commentary json<|message|>",
        ARGUMENTS,
        "<|call|>",
    )
)

SPECIAL = SpecialTexts(
    {
        name: number
        for number, name in enumerate(
            [
                "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<｜tool▁calls▁begin｜>",
                "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<|channel|>",
                "<｜tool▁calls▁end｜>", "<|tool_calls_section_begin|>", "<|tool_call_begin|>",
                "<|tool_call_argument_begin|>", "<|tool_call_end|>", "<|tool_calls_section_end|>",
                "<|tool_call>", "<tool_call|>", '<|"|>', "<|tool_call_start|>", "<|message|>",
                "<|start|>", "<|end|>", "<|call|>", "<|channel>", "<channel|>", "｜DSML｜",
            ]
        )
    }  # fmt: skip
)  # fmt: skip
"""As in vocabularies; `<think>` is plain text here."""

FORMATS: dict[str, tuple[ToolFormat, ReasoningFormat | None]] = {
    "hermes": (HERMES, THINK),
    "qwen-coder": (QWEN_CODER, None),
    "glm": (GLM, THINK),
    "dsml": (DSML, THINK),
    "nemo": (NEMO, None),
    "deepseek": (DEEPSEEK, THINK),
    "kimi": (KIMI, THINK),
    "gemma": (GEMMA, GEMMA_4),
    "lfm2": (LFM2, THINK),
    "llama": (LLAMA, None),
    "functionary": (FUNCTIONARY, None),
    "gpt-oss": (GPT, GPT_OSS),
}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "number": {"type": "integer"},
        "flag": {"type": "boolean"},
        "things": {"type": "array"},
        "object": {"type": "object"},
    },
}
TOOLS = (ReadableTool("get_weather", SCHEMA), ReadableTool("f", SCHEMA))


def make_parser(name: str, *, is_thinking: bool = False) -> AnswerParser:
    tools, reasoning = FORMATS[name]
    return AnswerParser(
        SPECIAL, tools=tools, callable=TOOLS, reasoning=reasoning, is_thinking=is_thinking
    )


def parse(parser: AnswerParser, chunks: Iterable[str]) -> list[Piece]:
    """All pieces, those that belong together joined."""
    pieces = [piece for chunk in chunks for piece in parser.feed(chunk)]
    return joined([*pieces, *parser.flush()])


def joined(pieces: Sequence[Piece]) -> list[Piece]:
    found: list[Piece] = []
    for piece in pieces:
        is_text = piece.kind not in (PieceKind.CALL, PieceKind.CALL_END)
        if is_text and found and found[-1].kind is piece.kind:
            found[-1] = Piece(piece.kind, found[-1].text + piece.text)
        else:
            found.append(piece)
    return found


def called(pieces: Iterable[Piece]) -> list[tuple[str, str]]:
    """The names and arguments of the calls."""
    calls: list[tuple[str, str]] = []
    for piece in pieces:
        if piece.kind is PieceKind.CALL:
            calls.append((piece.text, ""))
        elif piece.kind is PieceKind.ARGUMENTS:
            calls[-1] = (calls[-1][0], calls[-1][1] + piece.text)
    return calls


def text_of(pieces: Iterable[Piece], kind: PieceKind = PieceKind.CONTENT) -> str:
    return "".join(piece.text for piece in pieces if piece.kind is kind)
