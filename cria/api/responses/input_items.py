"""The items of `input`: what was said, called, answered and thought, in the order of time.

An item without a type and with a role is a message. Those that only OpenAI's own tools make are
taken and not read; which they were is reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import msgspec
from msgspec import Meta

from cria.errors import RequestError

Status = Literal["in_progress", "completed", "incomplete"]
CallId = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1)]

MEDIA = frozenset("input_image input_file input_audio".split())
"""Parts that a model for text cannot read."""
UNREAD = (
    "compaction compaction_trigger additional_tools configuration_update mcp_list_tools "
    "mcp_approval_request mcp_approval_response mcp_call web_search_call file_search_call "
    "image_generation_call code_interpreter_call tool_search_call tool_search_output "
    "local_shell_call local_shell_call_output shell_call shell_call_output apply_patch_call "
    "apply_patch_call_output computer_call computer_call_output program program_output"
).split()
"""Types of items that are dropped."""


class InputText(msgspec.Struct, tag_field="type", tag="input_text"):
    """Text for the model."""

    text: str
    prompt_cache_breakpoint: dict[str, Any] | None = None


class PastText(msgspec.Struct, tag_field="type", tag="output_text"):
    """Text that the model has written."""

    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class PastRefusal(msgspec.Struct, tag_field="type", tag="refusal"):
    """Its refusal."""

    refusal: str


class MessageInput(msgspec.Struct, tag_field="type", tag="message"):
    """Something said; without `type` too."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[InputText | PastText | PastRefusal]
    id: str | None = None
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = None


class FunctionCallInput(msgspec.Struct, tag_field="type", tag="function_call"):
    """A call of an earlier answer; it needs its output."""

    call_id: CallId
    name: Name
    arguments: str
    id: str | None = None
    status: Status | None = None
    namespace: str | None = None


class FunctionOutput(msgspec.Struct, tag_field="type", tag="function_call_output"):
    """What the function returned."""

    call_id: CallId
    output: str | list[InputText]
    id: str | None = None
    status: Status | None = None
    name: str | None = None
    namespace: str | None = None


class CustomCallInput(msgspec.Struct, tag_field="type", tag="custom_tool_call"):
    """The same of a tool that takes text."""

    call_id: CallId
    name: Name
    input: str
    id: str | None = None
    status: Status | None = None
    namespace: str | None = None


class CustomOutput(msgspec.Struct, tag_field="type", tag="custom_tool_call_output"):
    """What it returned."""

    call_id: CallId
    output: str | list[InputText]
    id: str | None = None
    status: Status | None = None


class PastSummary(msgspec.Struct, tag_field="type", tag="summary_text"):
    text: str


class PastThought(msgspec.Struct, tag_field="type", tag="reasoning_text"):
    text: str


class ReasoningInput(msgspec.Struct, tag_field="type", tag="reasoning"):
    """What the model thought."""

    summary: list[PastSummary] = []
    content: list[PastThought] | None = None
    encrypted_content: str | None = None
    id: str | None = None
    status: Status | None = None


class ItemReference(msgspec.Struct, tag_field="type", tag="item_reference"):
    """An item of a stored response, by its id."""

    id: Name


class Unread(msgspec.Struct, tag_field="type"):
    """What the model is not told."""


_UNREAD_KINDS = tuple(
    msgspec.defstruct(
        "".join(word.title() for word in name.split("_")),
        [],
        bases=(Unread,),
        namespace={"__doc__": "Taken, and not read."},
        module=__name__,
        tag=name,
    )
    for name in UNREAD
)

Call = FunctionCallInput | CustomCallInput
Output = FunctionOutput | CustomOutput
Kept = MessageInput | Call | Output | ReasoningInput
"""What the model is told, once references are resolved."""
if TYPE_CHECKING:
    InputItem = Kept | ItemReference | Unread
else:
    InputItem = Union[(Kept, ItemReference, *_UNREAD_KINDS)]  # noqa: UP007 - a list of types


def with_types(items: Any) -> Any:
    """What was sent, with the types that may be left out; and of the unread the type alone."""
    return [_with_type(item) for item in items] if isinstance(items, list) else items


def _with_type(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    kind = item.get("type")
    if isinstance(kind, str):
        return {"type": kind} if kind in UNREAD else item
    if kind is None and "role" in item:
        return {**item, "type": "message"}
    if kind is None and isinstance(item.get("id"), str):
        return {**item, "type": "item_reference"}
    return item


def media_refusal(items: object) -> RequestError | None:
    """The error for the first part of raw items that is no text, if there is one."""
    for i, item in enumerate(items if isinstance(items, list) else ()):
        for field in ("content", "output"):
            parts = item.get(field) if isinstance(item, dict) else None
            for j, part in enumerate(parts if isinstance(parts, list) else ()):
                kind = part.get("type") if isinstance(part, dict) else None
                if isinstance(kind, str) and kind in MEDIA:
                    return RequestError(
                        f"Invalid content type: '{kind}'. This model reads text only.",
                        param=f"input[{i}].{field}[{j}].type",
                        code="unsupported_value",
                    )
    return None


def unread_paths(items: list[InputItem]) -> Iterator[str]:
    """Where the items stand that the model is not told of."""
    for index, item in enumerate(items):
        if isinstance(item, Unread):
            yield f"input[{index}]"


def text_of(content: str | list[InputText] | list[InputText | PastText | PastRefusal]) -> str:
    """The text of all parts, one below the other."""
    if isinstance(content, str):
        return content
    return "\n".join(p.refusal if isinstance(p, PastRefusal) else p.text for p in content)
