"""`tools` and `tool_choice` of a chat, and what they come to: a `ToolPlan`.

The shapes are OpenAI's; other routes bring theirs into this one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

ToolName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class Function(msgspec.Struct):
    """What a model can call. Without `parameters` it takes no arguments."""

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    """A JSON schema of the object that holds the arguments."""
    strict: bool | None = None


class FunctionTool(msgspec.Struct, tag_field="type", tag="function"):
    function: Function


class Grammar(msgspec.Struct):
    syntax: Literal["lark", "regex"]
    definition: Annotated[str, Meta(min_length=1)]


class AnyText(msgspec.Struct, tag_field="type", tag="text"):
    """Any text at all."""


class GrammarText(msgspec.Struct, tag_field="type", tag="grammar"):
    """Text of a grammar."""

    grammar: Grammar


class Custom(msgspec.Struct):
    """What a model can call with text instead of arguments."""

    name: ToolName
    description: str | None = None
    format: AnyText | GrammarText | None = None


class CustomTool(msgspec.Struct, tag_field="type", tag="custom"):
    custom: Custom


Tool = FunctionTool | CustomTool


class Named(msgspec.Struct):
    name: str


class FunctionChoice(msgspec.Struct, tag_field="type", tag="function"):
    function: Named


class CustomChoice(msgspec.Struct, tag_field="type", tag="custom"):
    custom: Named


class AllowedTool(msgspec.Struct):
    """One of `tools`, by its kind and name."""

    type: Literal["function", "custom"]
    function: Named | None = None
    custom: Named | None = None


class AllowedTools(msgspec.Struct):
    mode: Literal["auto", "required"]
    tools: list[AllowedTool]


class AllowedChoice(msgspec.Struct, tag_field="type", tag="allowed_tools"):
    """Some of `tools`; the prompt still shows all of them, so that it stays the same."""

    allowed_tools: AllowedTools


ToolChoice = Literal["none", "auto", "required"] | FunctionChoice | CustomChoice | AllowedChoice


class ToolSpec(NamedTuple):
    """One tool."""

    name: str
    description: str
    schema: dict[str, Any]
    """Of the arguments; for a custom tool, of an object that holds its input."""
    kind: Literal["function", "custom"] = "function"
    strict: bool | None = None
    """True: a schema that cannot be enforced is an error; else it is taken for a hint."""
    grammar: Grammar | None = None
    """Of a custom tool's text, if it is not any text."""
    param: str = ""
    """The path of the schema or the grammar, for errors."""

    def for_template(self) -> dict[str, Any]:
        """The dict that chat templates read."""
        function = {"name": self.name, "description": self.description, "parameters": self.schema}
        return {"type": "function", "function": function}


class ToolPlan(NamedTuple):
    """What a request says of tools, once it is checked."""

    tools: tuple[ToolSpec, ...]
    """All, as the prompt shows them."""
    callable: tuple[ToolSpec, ...] = ()
    """Those that may be called; none with `tool_choice: none`."""
    is_required: bool = False
    """At least one call; if not, the model decides."""
    is_parallel: bool = True
    """More than one call is allowed."""
    is_legacy: bool = False
    """The request said `functions`: the answer says `function_call`, and has one call at most."""


NO_TOOLS = ToolPlan(())


def template_tools(plan: ToolPlan) -> list[dict[str, Any]] | None:
    """What the template gets for `tools`; None for no such variable."""
    return [tool.for_template() for tool in plan.tools] or None
