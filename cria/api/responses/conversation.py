"""From the items of a conversation to the messages of a chat.

What the model thought, said and called in one turn are several items and one message. A call and
its output belong together by `call_id`; one without the other is an error, as it is with OpenAI.
"""

from __future__ import annotations

from collections.abc import Sequence

from cria.api.messages import (
    AssistantMessage,
    CustomCall,
    DeveloperMessage,
    FunctionCall,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from cria.api.responses.input_items import (
    Call,
    CustomCallInput,
    CustomOutput,
    FunctionCallInput,
    FunctionOutput,
    Kept,
    MessageInput,
    ReasoningInput,
    text_of,
)
from cria.api.responses.sealed import opened
from cria.errors import RequestError

ROLES: dict[str, type[DeveloperMessage | SystemMessage | UserMessage]] = {
    "developer": DeveloperMessage,
    "system": SystemMessage,
    "user": UserMessage,
}


def to_messages(instructions: str | None, items: Sequence[Kept]) -> list[Message]:
    """The conversation, `instructions` first; RequestError for calls that do not match."""
    check_pairs(items)
    messages: list[Message] = []
    if instructions:
        messages.append(DeveloperMessage(content=instructions))
    for item in items:
        _append(messages, item)
    return messages


def check_pairs(items: Sequence[Kept]) -> None:
    """Every call has an output behind it, and every output a call before it."""
    open_calls: dict[str, Call] = {}
    called: set[str] = set()
    for item in items:
        if isinstance(item, FunctionCallInput | CustomCallInput):
            open_calls[item.call_id] = item
            called.add(item.call_id)
        elif isinstance(item, FunctionOutput | CustomOutput):
            if item.call_id not in called:
                kind = "function call" if isinstance(item, FunctionOutput) else "custom tool call"
                raise RequestError(
                    f"No tool call found for {kind} output with call_id {item.call_id}.",
                    param="input",
                )
            open_calls.pop(item.call_id, None)
    for call in open_calls.values():
        kind = "function call" if isinstance(call, FunctionCallInput) else "custom tool call"
        raise RequestError(f"No tool output found for {kind} {call.call_id}.", param="input")


def thought(item: ReasoningInput) -> str:
    """What the model thought: as it was, as it was sealed here, or what is told of it."""
    if item.content:
        return "\n".join(part.text for part in item.content)
    whole = opened(item.encrypted_content) if item.encrypted_content else None
    return "\n".join(part.text for part in item.summary) if whole is None else whole


def _append(messages: list[Message], item: Kept) -> None:
    if isinstance(item, FunctionOutput | CustomOutput):
        output = text_of(item.output)
        messages.append(ToolMessage(tool_call_id=item.call_id, content=output))
    elif isinstance(item, MessageInput) and item.role != "assistant":
        messages.append(ROLES[item.role](content=text_of(item.content)))
    elif isinstance(item, MessageInput):
        message = _turn(messages, is_new=_has_spoken(messages))
        said = text_of(item.content)
        message.content = f"{message.content}\n{said}" if message.content else said
    elif isinstance(item, ReasoningInput):
        if text := thought(item):
            message = _turn(messages, is_new=_has_spoken(messages))
            before = message.reasoning_content
            message.reasoning_content = f"{before}\n{text}" if before else text
    else:
        message = _turn(messages)
        message.tool_calls = [*(message.tool_calls or ()), _tool_call(item)]


def _has_spoken(messages: Sequence[Message]) -> bool:
    """The last turn is the assistant's and complete: what it says next is another one."""
    last = messages[-1] if messages else None
    return isinstance(last, AssistantMessage) and bool(last.content) and not last.tool_calls


def _turn(messages: list[Message], *, is_new: bool = False) -> AssistantMessage:
    """The turn of the assistant's that goes on, or a new one."""
    last = messages[-1] if messages else None
    if isinstance(last, AssistantMessage) and not is_new:
        return last
    message = AssistantMessage()
    messages.append(message)
    return message


def _tool_call(item: Call) -> ToolCall:
    if isinstance(item, FunctionCallInput):
        body = FunctionCall(name=item.name, arguments=item.arguments)
        return ToolCall(type="function", id=item.call_id, function=body)
    custom = CustomCall(name=item.name, input=item.input)
    return ToolCall(type="custom", id=item.call_id, custom=custom)
