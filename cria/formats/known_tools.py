"""How some models write tool calls that their templates do not show, or show in a way of their own.

They are known by texts that stand in their templates and in no other.
"""

from __future__ import annotations

from cria.formats.derive_tools import derive_tool_format
from cria.formats.draw import Draw
from cria.formats.tool_format import KeyedArguments, Slot, ToolFormat

LLAMA = ToolFormat(
    ('{"name": "', Slot.NAME, '", "parameters": ', Slot.ARGUMENTS, "}"),
    is_whole=True,
    max_calls=1,
)
GPT_OSS = ToolFormat(
    (" to=functions.", Slot.NAME, "<|channel|>commentary json<|message|>", Slot.ARGUMENTS),
    max_calls=1,
)
GEMMA = ToolFormat(
    ("<|tool_call>call:", Slot.NAME, Slot.ARGUMENTS, "<tool_call|>"),
    keyed=KeyedArguments("", ":", "", values="quoted", open="{", between=",", close="}"),
)
LFM2 = ToolFormat(
    (Slot.NAME, Slot.ARGUMENTS),
    begin="<|tool_call_start|>[",
    between=", ",
    end="]<|tool_call_end|>",
    keyed=KeyedArguments("", "=", "", values="python", open="(", between=", ", close=")"),
)
FUNCTIONARY = ToolFormat((Slot.NAME, "\n", Slot.ARGUMENTS), between=">>>", is_whole=True)
KIMI_K3 = ToolFormat(
    (
        '<|open|>call tool="',
        Slot.NAME,
        '" index="',
        Slot.INDEX,
        '"<|sep|>',
        Slot.ARGUMENTS,
        "<|close|>call<|sep|>",
    ),
    begin="<|open|>tools<|sep|>",
    end="<|close|>tools<|sep|>",
    keyed=KeyedArguments(
        '<|open|>argument key="',
        '" type="number"<|sep|>',
        "<|close|>argument<|sep|>",
        key_close_text='" type="string"<|sep|>',
    ),
)

_KNOWN: tuple[tuple[tuple[str, ...], ToolFormat], ...] = (
    (("functions.", "<|channel|>analysis<|message|>"), GPT_OSS),
    (("<|tool_call>call:", '<|"|>'), GEMMA),
    (("<|tool_call_start|>[",), LFM2),
    (("<|im_start|>", "List of tools: "), LFM2),
    ((">>>all\\n",), FUNCTIONARY),
    (('{"name": "', '"parameters": ', "single tool-calls"), LLAMA),
    (("open_tag('tools')",), KIMI_K3),
)
"""All texts of a line must occur in the template."""


def known_tool_format(source: str) -> ToolFormat | None:
    """Of the model with this template; None if it is none of these."""
    for texts, format in _KNOWN:
        if all(text in source for text in texts):
            return format
    return None


def tool_format(source: str, draw: Draw) -> ToolFormat | None:
    """Of the model with this template, which `draw` renders; None if nobody can say."""
    return known_tool_format(source) or derive_tool_format(draw)
