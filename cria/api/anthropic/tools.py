"""`tools` and `tool_choice` of a request, brought into the shapes of a chat.

Anthropic's models know some tools of the client's (`bash`, `text_editor`, `memory`) by a dated type
alone; other models are told what these take. Tools that Anthropic's servers run are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from cria.api.anthropic.blocks import CacheControl
from cria.api.tools import Function, FunctionChoice, FunctionTool, Named, ToolChoice
from cria.errors import RequestError

ToolName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
Object = dict[str, Any]


class InputTool(msgspec.Struct, kw_only=True):
    """What the model may call."""

    name: ToolName
    type: str | None = None
    """`custom`, or the dated type of a tool that Anthropic has made."""
    description: str | None = None
    input_schema: Object | None = None
    """A JSON schema of an object."""
    strict: bool | None = None
    """A schema that cannot be enforced is an error."""
    cache_control: CacheControl | None = None
    input_examples: list[Object] | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    allowed_callers: list[str] | None = None
    # Of the dated types.
    max_characters: int | None = None
    display_width_px: int | None = None
    display_height_px: int | None = None
    display_number: int | None = None
    enable_zoom: bool | None = None


class Choice(msgspec.Struct, tag_field="type", kw_only=True):
    """What every choice may have."""

    disable_parallel_tool_use: bool | None = None
    """One call at most."""


class AutoChoice(Choice, tag="auto"):
    """The model decides."""


class AnyChoice(Choice, tag="any"):
    """At least one call."""


class NamedChoice(Choice, tag="tool", kw_only=True):
    """A call of this tool."""

    name: str


class NoChoice(Choice, tag="none"):
    """No calls."""


InputChoice = AutoChoice | AnyChoice | NamedChoice | NoChoice

NOTED = (
    "cache_control input_examples defer_loading eager_input_streaming allowed_callers "
    "max_characters display_width_px display_height_px display_number enable_zoom"
).split()
"""Fields of a tool that change nothing."""

_TEXT = {"type": "string"}
_RANGE = {"type": "array", "items": {"type": "integer"}}
_EDITS: Object = {
    "path": _TEXT,
    "file_text": _TEXT,
    "old_str": _TEXT,
    "new_str": _TEXT,
    "insert_line": {"type": "integer"},
    "insert_text": _TEXT,
    "view_range": _RANGE,
}


def _schema(required: Sequence[str], commands: Sequence[str], properties: Object) -> Object:
    command = {"type": "string", "enum": list(commands)} if commands else _TEXT
    known = {"command": command, **properties}
    return {"type": "object", "properties": known, "required": list(required)}


_EDITOR = "view create str_replace insert".split()
CLIENT_TOOLS: dict[str, tuple[str, Object]] = {
    "bash": (
        "Run a command in a bash shell.",
        _schema(["command"], [], {"restart": {"type": "boolean"}}),
    ),
    "text_editor": (
        "View, create and edit text files.",
        _schema(["command", "path"], _EDITOR, _EDITS),
    ),
    "memory": (
        "Read and write the files of your memory.",
        _schema(
            ["command"],
            [*_EDITOR, "delete", "rename"],
            {**_EDITS, "old_path": _TEXT, "new_path": _TEXT},
        ),
    ),
}
"""Descriptions and schemas by the type without its date."""
NEEDS_EYES = "computer"
"""A client's tool, whose results are pictures: dropped."""

_DATED = re.compile(r"(?P<kind>\w+?)_\d{8}")


def kept_tools(tools: Sequence[InputTool]) -> list[int]:
    """The indices of those that the model is told of."""
    return [index for index, tool in enumerate(tools) if _kind(tool) != NEEDS_EYES]


def function_tool(tool: InputTool) -> FunctionTool:
    """As a chat request has it."""
    description, schema = CLIENT_TOOLS.get(_kind(tool), (None, None))
    return FunctionTool(
        Function(
            name=tool.name,
            description=tool.description or description,
            parameters=schema if tool.input_schema is None else tool.input_schema,
            strict=tool.strict,
        )
    )


def tool_choice(choice: InputChoice | None) -> ToolChoice | None:
    """As a chat request has it."""
    if isinstance(choice, NamedChoice):
        return FunctionChoice(Named(choice.name))
    if isinstance(choice, AnyChoice):
        return "required"
    if isinstance(choice, NoChoice):
        return "none"
    return None if choice is None else "auto"


def parallel_calls(choice: InputChoice | None) -> bool | None:
    """False if there may be one call only; None if nothing is said."""
    return False if choice is not None and choice.disable_parallel_tool_use else None


def check_tools(tools: Sequence[InputTool]) -> None:
    """Raise for a tool that cannot be called here, or without its schema."""
    for index, tool in enumerate(tools):
        kind = _kind(tool)
        if kind not in ("custom", NEEDS_EYES, *CLIENT_TOOLS):
            raise _unsupported(index, tool.type or "")
        path = f"tools[{index}].input_schema"
        if kind == "custom" and tool.input_schema is None:
            raise RequestError(
                f"Missing required parameter: '{path}'.",
                param=path,
                code="missing_required_parameter",
            )
        if tool.input_schema is not None and tool.input_schema.get("type", "object") != "object":
            raise RequestError(
                f"Invalid '{path}': 'type' has to be 'object'.", param=path, code="invalid_value"
            )


def notes_on_tools(tools: Sequence[InputTool]) -> Iterator[str]:
    """Paths of what changes nothing."""
    for index, tool in enumerate(tools):
        if _kind(tool) == NEEDS_EYES:
            yield f"tools[{index}]"
            continue
        yield from (f"tools[{index}].{n}" for n in NOTED if getattr(tool, n) is not None)


def _kind(tool: InputTool) -> str:
    """The type without its date."""
    dated = _DATED.fullmatch(tool.type or "custom")
    return dated["kind"] if dated else tool.type or "custom"


def _unsupported(index: int, kind: str) -> RequestError:
    param = f"tools[{index}].type"
    return RequestError(
        f"Unsupported value: '{kind[:64]}' is no tool that this server can offer to a model: it "
        "runs none itself. Supported types are: 'custom', and dated 'bash', 'text_editor' and "
        "'memory'.",
        param=param,
        code="unsupported_value",
    )
