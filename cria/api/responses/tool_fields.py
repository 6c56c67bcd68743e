"""`tools` and `tool_choice` of a response: flat, where those of a chat are nested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union

import msgspec

from cria.api import tools as chat
from cria.api.tools import AnyText, ToolName
from cria.errors import RequestError

BUILT_IN = (
    "web_search file_search code_interpreter image_generation computer mcp local_shell shell "
    "apply_patch tool_search programmatic_tool_calling".split()
)
"""Tools that OpenAI runs itself, or knows; some names have a version behind them."""


class FlatFunction(msgspec.Struct, tag_field="type", tag="function"):
    """What the model can call with JSON."""

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    """True: refuse a schema that cannot be enforced; without it, what can be is."""
    defer_loading: bool | None = None
    output_schema: dict[str, Any] | None = None
    allowed_callers: list[str] | None = None
    is_async: bool | None = msgspec.field(default=None, name="async")


class FlatGrammar(msgspec.Struct, tag_field="type", tag="grammar"):
    """Text of a grammar."""

    syntax: Literal["lark", "regex"]
    definition: str


class FlatCustom(msgspec.Struct, tag_field="type", tag="custom"):
    """What it can call with text."""

    name: ToolName
    description: str | None = None
    format: AnyText | FlatGrammar | None = None
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None


class Namespace(msgspec.Struct, tag_field="type", tag="namespace"):
    """Several of them; a call tells which one it was declared in."""

    name: ToolName
    tools: list[FlatFunction | FlatCustom]
    description: str | None = None


class BuiltIn(msgspec.Struct, tag_field="type"):
    """A tool that this server has not."""


_BUILT_IN_KINDS = tuple(
    msgspec.defstruct(
        "".join(word.title() for word in name.split("_")) + "Tool",
        [],
        bases=(BuiltIn,),
        namespace={"__doc__": "Refused, or left out."},
        module=__name__,
        tag=name,
    )
    for name in BUILT_IN
)

if TYPE_CHECKING:
    FlatTool = FlatFunction | FlatCustom | Namespace | BuiltIn
else:
    FlatTool = Union[(FlatFunction, FlatCustom, Namespace, *_BUILT_IN_KINDS)]  # noqa: UP007 - a list


class NamedFunction(msgspec.Struct, tag_field="type", tag="function"):
    name: str


class NamedCustom(msgspec.Struct, tag_field="type", tag="custom"):
    name: str


class FlatAllowedTool(msgspec.Struct):
    type: Literal["function", "custom"]
    name: str


class FlatAllowedTools(msgspec.Struct, tag_field="type", tag="allowed_tools"):
    """Some of them; the prompt still shows all."""

    mode: Literal["auto", "required"]
    tools: list[FlatAllowedTool]


FlatChoice = Literal["none", "auto", "required"] | NamedFunction | NamedCustom | FlatAllowedTools

_WITHOUT_EFFECT = ("defer_loading", "output_schema", "allowed_callers", "is_async")


class Placed(NamedTuple):
    """A tool, where it stands in the request, and the namespace around it."""

    tool: FlatFunction | FlatCustom
    path: str
    namespace: str | None = None


def placed(tools: Sequence[FlatTool]) -> Iterator[Placed]:
    """All of them, out of their namespaces, in order."""
    for index, tool in enumerate(tools):
        if isinstance(tool, Namespace):
            for number, inner in enumerate(tool.tools):
                yield Placed(inner, f"tools[{index}].tools[{number}]", tool.name)
        elif not isinstance(tool, BuiltIn):
            yield Placed(tool, f"tools[{index}]")


def chat_tools(tools: Sequence[FlatTool]) -> list[chat.Tool]:
    """The same for a chat."""
    return [_chat_tool(each.tool) for each in placed(tools)]


def namespaces(tools: Sequence[FlatTool]) -> dict[str, str]:
    """The namespaces of tools, by their names."""
    return {each.tool.name: each.namespace for each in placed(tools) if each.namespace}


def tools_without_effect(tools: Sequence[FlatTool]) -> Iterator[str]:
    """Paths of what they say that changes nothing here."""
    for each in placed(tools):
        for name in _WITHOUT_EFFECT:
            if getattr(each.tool, name, None) is not None:
                yield f"{each.path}.{name.removeprefix('is_')}"


def chat_choice(choice: FlatChoice | None) -> chat.ToolChoice | None:
    """The same for a chat."""
    if isinstance(choice, NamedFunction):
        return chat.FunctionChoice(chat.Named(choice.name))
    if isinstance(choice, NamedCustom):
        return chat.CustomChoice(chat.Named(choice.name))
    if isinstance(choice, FlatAllowedTools):
        return chat.AllowedChoice(
            chat.AllowedTools(choice.mode, [_chat_allowed(tool) for tool in choice.tools])
        )
    return choice


def without_versions(tools: Any) -> Any:
    """What was sent, and of the tools that OpenAI runs the name alone."""
    return [_without_version(tool) for tool in tools] if isinstance(tools, list) else tools


def left_out(tools: Sequence[FlatTool], *, is_allowed: bool) -> tuple[str, ...]:
    """Paths of the tools that are left out; RequestError for the first one if none may be."""
    paths = tuple(f"tools[{i}]" for i, tool in enumerate(tools) if isinstance(tool, BuiltIn))
    if paths and not is_allowed:
        raise RequestError(
            f"Unsupported value: '{paths[0]}.type' is none of 'function', 'custom' and "
            "'namespace': this server runs no tools of its own. Leave it out, or start the server "
            "with --ignore-built-in-tools.",
            param=f"{paths[0]}.type",
            code="unsupported_value",
        )
    return paths


def _without_version(tool: Any) -> Any:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if isinstance(kind, str):
        for name in BUILT_IN:
            if kind.startswith(name):
                return {"type": name}
    return tool


def _chat_tool(tool: FlatFunction | FlatCustom) -> chat.Tool:
    if isinstance(tool, FlatFunction):
        return chat.FunctionTool(
            chat.Function(tool.name, tool.description, tool.parameters, tool.strict)
        )
    wanted: chat.AnyText | chat.GrammarText | None = None
    if isinstance(tool.format, FlatGrammar):
        wanted = chat.GrammarText(chat.Grammar(tool.format.syntax, tool.format.definition))
    elif tool.format is not None:
        wanted = tool.format
    return chat.CustomTool(chat.Custom(tool.name, tool.description, wanted))


def _chat_allowed(tool: FlatAllowedTool) -> chat.AllowedTool:
    named = chat.Named(tool.name)
    if tool.type == "function":
        return chat.AllowedTool("function", function=named)
    return chat.AllowedTool("custom", custom=named)
