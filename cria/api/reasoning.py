"""How much a model should think before it answers, and what the answer shows of it.

Every server has its own name for each: OpenAI `reasoning_effort`, OpenRouter `reasoning`, Qwen
`enable_thinking` and `thinking_budget`, llama.cpp `reasoning_budget`, vLLM `thinking_token_budget`.
A model's chat template has a variable for the effort and one that turns thinking on or off, or the
model cannot be told; a limit in tokens is enforced while it thinks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from cria.api.sampling_fields import MAX_INT32
from cria.api.tool_fields import ToolFields
from cria.errors import RequestError

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Budget = Annotated[int, Meta(ge=-1, le=MAX_INT32)]
"""Tokens that the model may think; -1 is no limit, 0 no thinking."""

SWITCHES = ("enable_thinking", "thinking")
"""What templates call the variable that turns thinking on or off."""


class Reasoning(msgspec.Struct):
    """The object that OpenRouter's clients and Open WebUI send."""

    effort: ReasoningEffort | None = None
    enabled: bool | None = None
    max_tokens: Annotated[int, Meta(ge=0, le=MAX_INT32)] | None = None
    """Tokens that the model may think."""
    exclude: bool | None = None
    """Think, and do not show it."""


class ReasoningFields(ToolFields, kw_only=True):
    """They do not contradict each other."""

    reasoning_effort: ReasoningEffort | None = None
    """`none` turns thinking off."""
    reasoning: Reasoning | None = None
    """The same and more, as OpenRouter has it."""
    reasoning_format: Literal["none", "auto", "deepseek"] | None = None
    """`none` leaves the thinking in the text, with its marks; else it is told apart."""
    reasoning_budget: Budget | None = None
    """Tokens that the model may think; -1 is no limit, 0 no thinking."""
    thinking_budget_field: Budget | None = msgspec.field(default=None, name="thinking_budget")
    """Another name of `reasoning_budget`."""
    thinking_token_budget: Budget | None = None
    """Another name of `reasoning_budget`."""
    enable_thinking: bool | None = None
    """Turns thinking on or off."""

    def __post_init__(self) -> None:
        super().__post_init__()
        said: dict[str, tuple[str, object]] = {}
        for path, about, value in self._statements():
            first, known = said.setdefault(about, (path, value))
            if known != value:
                raise _contradiction(path, first)
        if not (self.shows_thinking or self.splits_thinking):
            raise _contradiction("reasoning.exclude", "reasoning_format")

    @property
    def thinking_budget(self) -> int | None:
        """Tokens that the model may think, 0 if it shall not at all; None for no limit."""
        said = {about: value for _, about, value in self._statements()}
        budget: int = said.get("budget", -1) if said.get("switch", True) else 0
        return None if budget == -1 else budget

    @property
    def budget_path(self) -> str | None:
        """The field that limits thinking, if one does."""
        return next((path for path, budget in self._budgets().items() if (budget or 0) > 0), None)

    @property
    def splits_thinking(self) -> bool:
        """Thinking is told from the text."""
        return self.reasoning_format != "none"

    @property
    def shows_thinking(self) -> bool:
        """The answer holds it, in one way or the other."""
        return not (self.reasoning and self.reasoning.exclude)

    def keep_thinking_inline(self) -> None:
        """Leave it in the text, unless the request says what to do with it."""
        if self.reasoning_format is None and self.shows_thinking:
            self.reasoning_format = "none"

    def reasoning_options(self) -> dict[str, dict[str, Any]]:
        """The variables of the template by the field that sets them."""
        reasoning = self.reasoning or Reasoning()
        return {
            "reasoning_effort": thinking_kwargs(self.reasoning_effort),
            "reasoning": thinking_kwargs(reasoning.effort, reasoning.enabled),
            "enable_thinking": thinking_kwargs(enabled=self.enable_thinking),
        }

    def budget_kwargs(self) -> dict[str, Any]:
        """Those of a model that shall not think: without them it would be cut short."""
        return thinking_kwargs(enabled=False) if self.thinking_budget == 0 else {}

    def _statements(self) -> Iterator[tuple[str, str, Any]]:
        """What the fields say, each with its path and what it is about."""
        reasoning = self.reasoning or Reasoning()
        efforts = {
            "reasoning_effort": self.reasoning_effort,
            "reasoning.effort": reasoning.effort,
        }
        for path, effort in efforts.items():
            if effort is not None:
                yield path, "effort", effort
                yield path, "switch", effort != "none"
        switches = {
            "reasoning.enabled": reasoning.enabled,
            "enable_thinking": self.enable_thinking,
        }
        for path, is_on in switches.items():
            if is_on is not None:
                yield path, "switch", is_on
        for path, budget in self._budgets().items():
            if budget is not None:
                yield path, "budget", budget
                if budget >= 0:
                    yield path, "switch", budget > 0

    def _budgets(self) -> dict[str, int | None]:
        return {
            "reasoning.max_tokens": self.reasoning.max_tokens if self.reasoning else None,
            "reasoning_budget": self.reasoning_budget,
            "thinking_budget": self.thinking_budget_field,
            "thinking_token_budget": self.thinking_token_budget,
        }


def thinking_kwargs(
    effort: ReasoningEffort | None = None, enabled: bool | None = None
) -> dict[str, Any]:
    """Variables of a template: the effort as it is; none of it also turns thinking off."""
    if effort == "none":
        enabled = False
    kwargs: dict[str, Any] = {} if effort is None else {"reasoning_effort": effort}
    return kwargs if enabled is None else kwargs | dict.fromkeys(SWITCHES, enabled)


def _contradiction(path: str, other: str) -> RequestError:
    return RequestError(
        f"Invalid '{path}': it contradicts '{other}'. Send one of them.",
        param=path,
        code="invalid_value",
    )
