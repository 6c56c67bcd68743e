"""Find out, with small conversations, in which form a chat template takes messages and tools.

1. A form is tried whole, so that one thing that a template does not take cannot hide another.
2. The form that changes least is taken. A template takes tools if the tools, a call with its
   arguments and a result all come out of it, and not as Python writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from cria.prompt.call_form import Message
from cria.prompt.message_form import MessageForm, SystemRole

TryRender = Callable[[MessageForm, list[Message], list[dict[str, Any]] | None], str]
"""The rendered text; nothing if the template refuses."""

_MARK = "cria-probe"
_KEY, _VALUE, _RESULT = "cria_key", "cria-value", "cria-result"
_TOOL, _OTHER_TOOL = "cria_called", "cria_other"
_USER = {"role": "user", "content": "Hello"}
_ANSWER = {"role": "assistant", "content": "Hello"}
_SYSTEM = {"role": "system", "content": _MARK}
_IDS = ("call_Cria0Probe0With0Long0Id1", "call_Cria0Probe0With0Long0Id2")


def probe(try_render: TryRender) -> MessageForm:
    """The form that this template takes, most faithful first."""
    form = _probe_plain(try_render)
    form = form._replace(system_role=_probe_system_role(form, try_render))
    for candidate in _tool_forms(form):
        if _takes_calls(candidate, try_render, 1, {}):
            return _probe_rest(candidate, try_render)
    return form._replace(takes_tools=False)


def _probe_plain(try_render: TryRender) -> MessageForm:
    """A form in which a user is heard at all."""
    for supplies, appends in product((False, True), repeat=2):
        form = MessageForm(supplies_functions=supplies, may_append=appends)
        if _MARK in try_render(form, [_USER | {"content": _MARK}], None):
            return form
    return MessageForm()


def _probe_system_role(form: MessageForm, try_render: TryRender) -> SystemRole:
    conversation = [_SYSTEM, _SYSTEM, _USER, _ANSWER, _SYSTEM, _USER]
    if try_render(form, conversation, None).count(_MARK) == 3:
        return "anywhere"
    return "first" if _MARK in try_render(form, [_SYSTEM, _USER], None) else "nowhere"


def _tool_forms(form: MessageForm) -> Iterator[MessageForm]:
    """Those that change little come first."""
    changes = sorted(product((False, True), repeat=5), key=sum)
    for as_text, short_ids, fills, supplies, appends in changes:
        yield form._replace(
            arguments_as_dict=not as_text,
            short_ids=short_ids,
            fills_descriptions=fills,
            supplies_functions=supplies or form.supplies_functions,
            may_append=appends or form.may_append,
        )


def _probe_rest(form: MessageForm, try_render: TryRender) -> MessageForm:
    """Of a form that takes one call: what else a message with calls may hold."""
    said = {"content": "Wait."}
    thought = said | {"reasoning_content": "Hm."}
    for change, num_calls, more in (
        ("single_calls", 2, {}),
        ("separate_content", 1, said),
        ("joins_thinking", 1, thought),
    ):
        changed = MessageForm(**{**form._asdict(), change: True})
        if not _takes_calls(form, try_render, num_calls, more) and _takes_calls(
            changed, try_render, num_calls, more
        ):
            form = changed
    return form


def _takes_calls(
    form: MessageForm, try_render: TryRender, num_calls: int, more: dict[str, str]
) -> bool:
    tools = [_tool(_TOOL), _tool(_OTHER_TOOL)]
    text = try_render(form, _conversation(num_calls, more), tools)
    marks = (mark + str(n) for mark in (_VALUE, _RESULT) for n in range(num_calls))
    return (
        _OTHER_TOOL in text
        and _KEY in text
        and f"'{_KEY}'" not in text
        and all(mark in text for mark in marks)
    )


def _conversation(num_calls: int, more: dict[str, str]) -> list[Message]:
    calls = [
        {
            "id": _IDS[n],
            "type": "function",
            "function": {"name": _TOOL, "arguments": {_KEY: _VALUE + str(n)}},
        }
        for n in range(num_calls)
    ]
    results = [
        {"role": "tool", "content": _RESULT + str(n), "tool_call_id": _IDS[n], "name": _TOOL}
        for n in range(num_calls)
    ]
    return [_USER, {"role": "assistant", "content": "", "tool_calls": calls} | more, *results]


def _tool(name: str) -> dict[str, Any]:
    # A property may lack a description, and so this one does.
    schema = {"type": "object", "properties": {"cria_schema": {"type": "string"}}, "required": []}
    function = {"name": name, "description": "Does something.", "parameters": schema}
    return {"type": "function", "function": function}
