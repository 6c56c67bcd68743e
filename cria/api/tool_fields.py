"""The fields of a chat that speak of tools, and what they owe to its other fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from cria.api.generation_request import GenerationRequest
from cria.api.tool_plan import plan_of_functions, plan_of_tools
from cria.api.tools import NO_TOOLS, Function, Named, Tool, ToolChoice, ToolPlan
from cria.errors import RequestError

MAX_TOOLS = 128
"""OpenAI's limit."""


class ToolFields(GenerationRequest, kw_only=True):
    """`tools` and what may be called of them, or the same by its older names."""

    tools: Annotated[list[Tool], Meta(max_length=MAX_TOOLS)] = []
    """What the model may call."""
    tool_choice: ToolChoice | None = None
    """Whether it must, and what; `auto` leaves it to the model."""
    parallel_tool_calls: bool | None = None
    """`false`: one call at most."""
    functions: Annotated[list[Function], Meta(max_length=MAX_TOOLS)] = []
    """`tools` by its older name."""
    function_call: Literal["none", "auto"] | Named | None = None
    """`tool_choice` by its older name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tools and self.functions:
            raise _contradiction("functions", "tools", "it is the older name of it")
        for name, needed in self._stray():
            if getattr(self, name) not in (True, False, "auto"):
                raise _only_with(name, needed)
        self._check_shape(self.tool_plan)

    @property
    def tool_plan(self) -> ToolPlan:
        """What may be called, and whether it must be."""
        if self.tools:
            is_parallel = self.parallel_tool_calls is not False
            return plan_of_tools(self.tools, self.tool_choice, is_parallel=is_parallel)
        if self.functions:
            return plan_of_functions(self.functions, self.function_call)
        return NO_TOOLS

    @property
    def choice_field(self) -> str:
        """The field that says whether something must be called."""
        return "tool_choice" if self.tools else "function_call"

    @property
    def shaped_by(self) -> str | None:
        return super().shaped_by or (self.choice_field if self.tool_plan.is_required else None)

    def check_strictly(self) -> None:
        super().check_strictly()
        for name, needed in self._stray():
            raise _only_with(name, needed)

    def without_effect(self) -> Iterator[str]:
        yield from super().without_effect()
        yield from (name for name, _ in self._stray())
        if self.tool_plan.is_required:
            if self.stop:
                yield "stop"  # it ends the text, and there is none
            if self.constraint is not None:
                yield self.constraint.param.partition(".")[0]

    def _stray(self) -> Iterator[tuple[str, str]]:
        """The fields that speak of tools that are not there, and what these would be.

        OpenAI refuses them. Some clients always send them; only what cannot be fulfilled matters.
        """
        if not self.tools:
            if self.tool_choice not in (None, "none"):
                yield "tool_choice", "tools"
            if self.parallel_tool_calls is not None:
                yield "parallel_tool_calls", "tools"
        if not self.functions and self.function_call not in (None, "none"):
            yield "function_call", "functions"

    def _check_shape(self, plan: ToolPlan) -> None:
        """Beside calls an answer can be JSON of a schema: whatever else it could be is no call."""
        if plan.callable and self.constraint is not None and self.constraint.kind != "schema":
            name = "functions" if plan.is_legacy else "tools"
            raise _contradiction(self.constraint.param, name, "a call has another shape")


def _only_with(name: str, needed: str) -> RequestError:
    return RequestError(
        f"Invalid value for '{name}': '{name}' is only allowed when '{needed}' are specified.",
        param=name,
    )


def _contradiction(name: str, other: str, reason: str) -> RequestError:
    return RequestError(
        f"'{name}' contradicts '{other}': {reason}. Send one of them.",
        param=name,
        code="invalid_value",
    )
