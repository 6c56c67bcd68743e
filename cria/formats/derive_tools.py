"""How a model writes tool calls, found by having its template write some.

An assistant turn with two calls is rendered, whose names, keys, values and ids occur nowhere else.
The texts between them, compared with each other and with a turn without calls, are the format. It
is used only if it writes the same calls as the template does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from cria.formats.atoms import atoms, common_prefix, common_suffix
from cria.formats.draw import Draw
from cria.formats.tool_format import KeyedArguments, Slot, ToolFormat, WrittenCall, write_calls

_PLAIN = "zqplaintext"
_FIRST = WrittenCall("zqfirst", {"zqkeya": "zqvala", "zqkeyb": 73917391}, "zqcall001", 0)
_SECOND = WrittenCall("zqsecond", {"zqkeyc": "zqvalc", "zqkeyd": 48214821}, "zqcall002", 1)
_NO_THOUGHT = re.compile(r"\s*(?:<[^<>]*think[^<>]*>\s*)*", re.IGNORECASE)
_END_OF_TURN = re.compile(r"(?:<\|(?:eom_id|eom|calls|call)\|>|<｜hy_eos:\w+｜>)\s*$")
"""What ends a turn with calls alone, so that a turn without calls does not show it."""


class _Call(NamedTuple):
    """One call in a rendered text: what it is made of, from `start` to `end`."""

    parts: tuple[str | Slot, ...]
    start: int
    end: int
    keyed: KeyedArguments | None = None


def derive_tool_format(draw: Draw) -> ToolFormat | None:
    """None if the template writes no calls, or in no way that a `ToolFormat` can say."""
    plain = draw([_USER, {"role": "assistant", "content": _PLAIN}], tools=_TOOLS)
    two, one = (_drawn(draw, calls) for calls in ((_FIRST, _SECOND), (_FIRST,)))
    head, _, tail = plain.partition(_PLAIN)
    prompt = draw([_USER], tools=_TOOLS, add_generation_prompt=True)
    drawn = ((two, (_FIRST, _SECOND)), (one, (_FIRST,)))
    shows_two = f"{_SECOND.name}" in two.partition(_FIRST.arguments["zqkeya"])[2]
    for text, calls in drawn[:1] if shows_two else drawn[1:]:
        format = _format_of(text, calls, max(_shared(text, head), _shared(text, prompt)), tail)
        if format and _verifies(format, text, calls):
            return format
    return None


def _shared(text: str, other: str) -> int:
    return len(common_prefix(text, other))


def _verifies(format: ToolFormat, text: str, calls: Sequence[WrittenCall]) -> bool:
    """It writes these calls as the template did, but for blanks inside JSON."""
    if "zq" in repr(format):
        return False
    return _without_blanks(write_calls(format, calls)) in _without_blanks(text)


def _without_blanks(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _format_of(text: str, calls: Sequence[WrittenCall], head: int, tail: str) -> ToolFormat | None:
    found = [_find(text, call, head) for call in calls]
    cuts = [call for call in found if call is not None]
    if len(cuts) != len(calls):
        return None
    head += len(_NO_THOUGHT.match(text[head : cuts[0].start])[0])  # type: ignore[index]
    before, after = text[head : cuts[0].start], _before_tail(text[cuts[-1].end :], tail)
    if len(cuts) == 1:
        return _checked((before, *cuts[0].parts, after), cuts[0].keyed, "", "", "", max_calls=1)
    inside = text[cuts[0].end : cuts[1].start]
    opening, begin, inside = _opening(before, inside)
    closing = common_prefix(inside, after)
    parts = _indexed(cuts[0].parts, cuts[1].parts)
    if parts is None:
        return None
    # A blank behind the last call belongs to no call.
    blank = len(closing) - len(closing.rstrip())
    if blank and not after[len(closing) :]:
        closing, after = closing[:-blank], closing[:-blank]
    between, end = inside[len(closing) :], after[len(closing) :]
    return _checked((*opening, *parts, closing), cuts[0].keyed, begin, between, end)


def _checked(
    parts: tuple[str | Slot, ...],
    keyed: KeyedArguments | None,
    begin: str,
    between: str,
    end: str,
    max_calls: int | None = None,
) -> ToolFormat | None:
    """Nothing if there is no mark by which a call could be told from text."""
    call = _joined(parts)
    is_marked = bool(begin.strip()) or (isinstance(call[0], str) and bool(call[0].strip()))
    if not is_marked or (isinstance(call[0], str) and call[0].startswith('{"') and not begin):
        return None
    return ToolFormat(call, begin, between, end, keyed, max_calls=max_calls)


def _joined(parts: Sequence[str | Slot]) -> tuple[str | Slot, ...]:
    joined: list[str | Slot] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return tuple(joined)


def _opening(before: str, inside: str) -> tuple[list[str | Slot], str, str]:
    """What each call begins with, what stands before the first one alone, and the rest."""
    left, right = atoms(before), atoms(inside)
    opening: list[str | Slot] = []
    while left and right and (left[-1] == right[-1] or _are_numbers(left[-1], right[-1])):
        same = left[-1] == right[-1]
        opening.insert(0, left[-1] if same else Slot.INDEX)
        left.pop()
        right.pop()
    return opening, "".join(left), "".join(right)


def _are_numbers(one: str, other: str) -> bool:
    return one.isdecimal() and other.isdecimal()


def _indexed(
    one: Sequence[str | Slot], other: Sequence[str | Slot]
) -> tuple[str | Slot, ...] | None:
    """The parts of both calls, where numbers that differ are the call's index."""
    parts: list[str | Slot] = []
    for left, right in zip(one, other, strict=False):
        if isinstance(left, str) and isinstance(right, str):
            begin_parts, rest_left, rest_right = _opening(left, right)
            if rest_left or rest_right:
                return None
            parts += begin_parts
        elif left == right:
            parts.append(left)
        else:
            return None
    return _joined(parts) if len(one) == len(other) else None


def _before_tail(text: str, tail: str) -> str:
    """Without what ends the turn."""
    text = text.removesuffix(common_suffix(text, tail))
    marks = [atom for atom in atoms(tail) if len(atom) > 2 and atom.startswith("<")]
    if len(marks) == 1:
        text = text.partition(marks[0])[0]
    return _END_OF_TURN.sub("", text)


def _find(text: str, call: WrittenCall, head: int) -> _Call | None:
    """The call's slots in the text; the parts begin and end with a slot."""
    keys = list(call.arguments)
    first_key = text.find(keys[0], head)
    if first_key < 0 or text.find(call.name, head) < 0:
        return None
    span, keyed = _json_span(text, call.arguments, head, first_key), None
    if span is None:
        found = _keyed(text, call, first_key)
        if found is None:
            return None
        span, keyed = found
    places = [(*span, Slot.ARGUMENTS)]
    for value, slot in ((call.name, Slot.NAME), (call.id, Slot.ID)):
        for match in re.finditer(re.escape(value), text[head:]):
            places.append((match.start() + head, match.end() + head, slot))
    return _with_texts(text, sorted(places, key=lambda place: place[0]), keyed)


def _with_texts(
    text: str, places: list[tuple[int, int, Slot]], keyed: KeyedArguments | None
) -> _Call:
    parts: list[str | Slot] = []
    end = places[0][0]
    for start, stop, slot in places:
        parts += [text[end:start], slot]
        end = stop
    return _Call(_joined(parts), places[0][0], end, keyed)


def _json_span(text: str, arguments: dict[str, Any], head: int, key: int) -> tuple[int, int] | None:
    start = text.rfind("{", head, key)
    if start < 0:
        return None
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        return None
    return (start, end) if value == arguments else None


def _keyed(
    text: str, call: WrittenCall, first_key: int
) -> tuple[tuple[int, int], KeyedArguments] | None:
    """Where the arguments are, and how they are written."""
    pattern = "(.*?)".join(re.escape(str(each)) for pair in call.arguments.items() for each in pair)
    match = re.compile(pattern, re.DOTALL).match(text, first_key)
    if match is None:
        return None
    close_text, inside, close = match.groups()
    before = text[max(0, first_key - 200) : first_key]
    before = before[before.rfind(call.name) + len(call.name) :] if call.name in before else before
    key_open = common_suffix(before, inside)
    value_close = common_prefix(inside[: len(inside) - len(key_open)], text[match.end() :])
    between = inside[len(value_close) : len(inside) - len(key_open)]
    if not key_open or not value_close or any(key in value_close for key in call.arguments):
        return None
    keyed = KeyedArguments(
        key_open,
        close,
        value_close,
        between=between,
        key_close_text=None if close == close_text else close_text,
    )
    return (first_key - len(key_open), match.end() + len(value_close)), keyed


def _drawn(draw: Draw, calls: Sequence[WrittenCall]) -> str:
    tool_calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in calls
    ]
    turn = {"role": "assistant", "content": "", "tool_calls": tool_calls}
    return draw([_USER, turn], tools=_TOOLS)


def _tool(name: str, keys: tuple[str, str]) -> dict[str, Any]:
    """Its names must not be mistaken for those of a call, which come after it."""
    types = ("string", "number")
    properties = {k: {"type": t, "description": ""} for k, t in zip(keys, types, strict=True)}
    parameters = {"type": "object", "properties": properties, "required": list(keys)}
    function = {"name": name, "description": "None.", "parameters": parameters}
    return {"type": "function", "function": function}


_USER = {"role": "user", "content": "Hello"}
_TOOLS = [_tool(call.name, tuple(call.arguments)) for call in (_FIRST, _SECOND)]  # type: ignore[arg-type]
