"""How much a model should think before it answers: `reasoning_effort`, OpenRouter's `reasoning`.

This is no matter of sampling: a model's chat template has a variable for it, or the model cannot
be told.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from cria.errors import RequestError

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

SWITCHES = ("enable_thinking", "thinking")
"""What templates call the variable that turns thinking on or off."""


class Reasoning(msgspec.Struct):
    """The object that OpenRouter's clients and Open WebUI send."""

    effort: ReasoningEffort | None = None
    enabled: bool | None = None
    max_tokens: int | None = None
    exclude: bool | None = None


def thinking_kwargs(
    effort: ReasoningEffort | None = None, enabled: bool | None = None
) -> dict[str, Any]:
    """Variables of a template: the effort as it is; none of it also turns thinking off."""
    if effort == "none":
        enabled = False
    kwargs: dict[str, Any] = {} if effort is None else {"reasoning_effort": effort}
    return kwargs if enabled is None else kwargs | dict.fromkeys(SWITCHES, enabled)


def check_reasoning(effort: ReasoningEffort | None, reasoning: Reasoning) -> None:
    """Raise for what cannot be honoured, or contradicts itself or `reasoning_effort`."""
    if reasoning.max_tokens is not None:
        raise _unsupported("max_tokens", "thinking has no token limit of its own here")
    if reasoning.exclude:
        raise _unsupported("exclude", "thinking is not told from the answer here")
    efforts = {effort, reasoning.effort} - {None}
    if len(efforts) > 1:
        raise _contradiction("effort", f"'reasoning_effort' is '{effort}'")
    if reasoning.enabled is not None and efforts and reasoning.enabled == (efforts == {"none"}):
        raise _contradiction("enabled", f"the effort is '{efforts.pop()}'")


def _unsupported(name: str, reason: str) -> RequestError:
    return RequestError(
        f"Unsupported parameter: 'reasoning.{name}' cannot be honoured here: {reason}. "
        "Leave it out.",
        param=f"reasoning.{name}",
        code="unsupported_parameter",
    )


def _contradiction(name: str, other: str) -> RequestError:
    return RequestError(
        f"Invalid 'reasoning.{name}': it contradicts what else the request says: {other}. "
        "Send one of them.",
        param=f"reasoning.{name}",
        code="invalid_value",
    )
