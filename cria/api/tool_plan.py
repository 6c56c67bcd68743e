"""From what a request says of tools to a `ToolPlan`, or to an error that names what is wrong.

What is refused, and in which words, is as OpenAI has it. Whether a schema can be enforced is found
out when it is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, Literal

from cria.api.tools import (
    AllowedChoice,
    AllowedTools,
    Custom,
    CustomChoice,
    CustomTool,
    Function,
    FunctionChoice,
    GrammarText,
    Named,
    Tool,
    ToolChoice,
    ToolPlan,
    ToolSpec,
)
from cria.api.violations import shown
from cria.errors import RequestError

NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def plan_of_tools(
    tools: Sequence[Tool], choice: ToolChoice | None, *, is_parallel: bool
) -> ToolPlan:
    """RequestError if the tools cannot be told apart, or the choice is not among them."""
    specs = tuple(_spec(tool, f"tools[{index}]") for index, tool in enumerate(tools))
    _check_names(specs, [f"tools[{i}].{tool.kind}.name" for i, tool in enumerate(specs)])
    match choice:
        case "none":
            return ToolPlan(specs)
        case FunctionChoice(function=named):
            return _forced(specs, named, "function", "tool_choice")
        case CustomChoice(custom=named):
            return _forced(specs, named, "custom", "tool_choice")
        case AllowedChoice(allowed_tools=allowed):
            some = tuple(_allowed(specs, allowed))
            return ToolPlan(specs, some, allowed.mode == "required", is_parallel)
    return ToolPlan(specs, specs, choice == "required", is_parallel)


def plan_of_functions(
    functions: Sequence[Function], choice: Literal["none", "auto"] | Named | None
) -> ToolPlan:
    """The same for the older form: an answer has one call at most."""
    specs = tuple(_function_spec(f, f"functions[{index}]") for index, f in enumerate(functions))
    _check_names(specs, [f"functions[{index}].name" for index in range(len(specs))])
    if choice == "none":
        return ToolPlan(specs, is_legacy=True)
    if isinstance(choice, Named):
        return _forced(specs, choice, "function", "function_call")._replace(is_legacy=True)
    return ToolPlan(specs, specs, is_parallel=False, is_legacy=True)


def _spec(tool: Tool, path: str) -> ToolSpec:
    if isinstance(tool, CustomTool):
        return _custom_spec(tool.custom, f"{path}.custom")
    return _function_spec(tool.function, f"{path}.function")


def _function_spec(function: Function, path: str) -> ToolSpec:
    param = f"{path}.parameters"
    schema = _root(function, param)
    return ToolSpec(
        function.name, function.description or "", schema, strict=function.strict, param=param
    )


def _root(function: Function, param: str) -> dict[str, Any]:
    """The schema of the arguments, which are an object whatever it says."""
    schema = function.parameters
    if not schema:
        return deepcopy(NO_ARGUMENTS)
    kind = schema.get("type", "object")
    if kind != "object":
        raise RequestError(
            f"Invalid schema for function '{function.name}': schema must be a JSON Schema of "
            f"'type: \"object\"', got 'type: {shown(kind)}'.",
            param=param,
            code="invalid_function_parameters",
        )
    return {"type": "object", **schema}


def _custom_spec(custom: Custom, path: str) -> ToolSpec:
    """The text becomes the only argument of a function, since that is what models know."""
    text: dict[str, Any] = {"type": "string"}
    spec = ToolSpec(custom.name, custom.description or "", _input(text), "custom", param=path)
    if not isinstance(custom.format, GrammarText):
        return spec
    grammar = custom.format.grammar
    # Text that does not fit is worth nothing to whoever asked for a grammar.
    spec = spec._replace(strict=True, param=f"{path}.format.grammar.definition")
    if grammar.syntax == "regex":
        return spec._replace(schema=_input(text | {"pattern": f"^(?:{grammar.definition})$"}))
    return spec._replace(grammar=grammar)


def _input(text: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"input": text},
        "required": ["input"],
        "additionalProperties": False,
    }


def _check_names(specs: Sequence[ToolSpec], params: Sequence[str]) -> None:
    seen: set[str] = set()
    for spec, param in zip(specs, params, strict=True):
        if spec.name in seen:
            raise RequestError(
                f"Invalid '{param}': another tool has the name '{spec.name}' already.",
                param=param,
                code="invalid_value",
            )
        seen.add(spec.name)


def _forced(specs: tuple[ToolSpec, ...], named: Named, kind: str, param: str) -> ToolPlan:
    """Exactly one call, of this tool."""
    return ToolPlan(specs, (_find(specs, named, kind, param),), is_required=True, is_parallel=False)


def _allowed(specs: tuple[ToolSpec, ...], allowed: AllowedTools) -> Iterator[ToolSpec]:
    """In the order of the request's tools."""
    path = "tool_choice.allowed_tools.tools"
    if not allowed.tools:
        raise RequestError(
            f"Invalid '{path}': empty array. Expected at least 1 item.",
            param=path,
            code="empty_array",
        )
    found = set()
    for index, tool in enumerate(allowed.tools):
        named = tool.function if tool.type == "function" else tool.custom
        param = f"{path}[{index}]"
        if named is None:
            raise RequestError(
                f"Missing required parameter: '{param}.{tool.type}'.",
                param=f"{param}.{tool.type}",
                code="missing_required_parameter",
            )
        found.add(_find(specs, named, tool.type, param).name)
    return (spec for spec in specs if spec.name in found)


def _find(specs: tuple[ToolSpec, ...], named: Named, kind: str, param: str) -> ToolSpec:
    for spec in specs:
        if (spec.name, spec.kind) == (named.name, kind):
            return spec
    field = "functions" if param == "function_call" else "tools"
    raise RequestError(
        f"Invalid value for '{param}': there is no {kind} {shown(named.name)} in '{field}'.",
        param=param,
        code="invalid_value",
    )
