"""Which fields say the same in other words, and which may contradict each other."""

from __future__ import annotations

from functools import cache

Paths = frozenset[str]


def _paths(text: str) -> Paths:
    return frozenset(text.split())


_LIMIT = _paths("max_tokens max_completion_tokens")
_SHAPE = _paths(
    "response_format grammar json_schema structured_outputs guided_json guided_regex guided_choice "
    "guided_grammar regex ebnf"
)
_TEMPLATE_SWITCH = _paths("chat_template_kwargs.enable_thinking chat_template_kwargs.thinking")
_SWITCH = _TEMPLATE_SWITCH | _paths("enable_thinking reasoning.enabled")
_EFFORT = _paths("reasoning_effort reasoning.effort chat_template_kwargs.reasoning_effort")
_BUDGET = _paths("reasoning_budget thinking_budget thinking_token_budget reasoning.max_tokens")
_THINKING = _SWITCH | _EFFORT | _BUDGET
_OVERFLOW = _paths("context_overflow truncate_prompt_tokens")

_SYNONYMS = (
    _LIMIT,
    _SHAPE,
    _paths("repeat_penalty repetition_penalty"),
    _paths("mirostat mirostat_mode"),
    _paths("seed random_seed"),
    _paths("verbosity chat_template_kwargs.verbosity"),
)
_SAME = (
    *_SYNONYMS,
    _SWITCH,
    # An effort turns thinking on or off too, and the template's own variables would win over it.
    _EFFORT | _TEMPLATE_SWITCH,
    _BUDGET,
)
_OUTSPOKEN = (*_SYNONYMS, _THINKING, _OVERFLOW)
_CONTRADICTING = (
    _THINKING,
    _LIMIT | _paths("min_tokens"),
    _SHAPE | _paths("ignore_eos min_tokens"),
    _OVERFLOW | _paths("n_keep"),
    _paths("reasoning_format reasoning.exclude"),
)


@cache
def same(path: str) -> Paths:
    """The fields that say the same as this one, if they say anything; itself is not among them."""
    return _others(path, _SAME)


@cache
def outspoken(path: str) -> Paths:
    """The fields with which a client says enough for a default of this one to be left out."""
    return _others(path, _OUTSPOKEN)


@cache
def contradicting(path: str) -> Paths:
    """The fields that may exclude this one."""
    return _others(path, _CONTRADICTING)


def _others(path: str, groups: tuple[Paths, ...]) -> Paths:
    return frozenset[str]().union(*(group for group in groups if path in group)) - {path}
