from __future__ import annotations

from cria.formats import known_tools
from cria.formats.tool_format import HERMES, WrittenCall, write_calls, write_value

CALL = WrittenCall("f", {"a": "x", "b": 1}, "abcdefghi", 0)


def test_json() -> None:
    text = '<tool_call>\n{"name": "f", "arguments": {"a": "x", "b": 1}}\n</tool_call>'
    assert write_calls(HERMES, [CALL]) == text
    assert write_calls(HERMES, [CALL, CALL]) == f"{text}\n{text}"


def test_keyed() -> None:
    written = write_calls(known_tools.LFM2, [CALL])
    assert written == "<|tool_call_start|>[f(a='x', b=1)]<|tool_call_end|>"
    written = write_calls(known_tools.GEMMA, [CALL])
    assert written == '<|tool_call>call:f{a:<|"|>x<|"|>,b:1}<tool_call|>'


def test_values() -> None:
    assert write_value(["x", {"k": True}], "quoted") == '[<|"|>x<|"|>,{k:true}]'
    assert write_value(["x", {"k": True}], "tagged") == '["x", {"k": true}]'
    assert write_value(["x", None], "python") == "['x', None]"
