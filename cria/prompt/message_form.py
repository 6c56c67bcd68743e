"""The form in which a chat template takes messages and tools, and how to bring them into it.

Some templates refuse or drop a system message that is not the first, or any; some print a tool
call's arguments and some walk through them. `form_probe` finds out.
"""

from __future__ import annotations

import copy
import json
from datetime import datetime
from typing import Any, Literal, NamedTuple

from cria.prompt.call_form import (
    Message,
    uses_tools,
    with_arguments,
    with_descriptions,
    with_matched_results,
    with_separate_content,
    with_short_ids,
    with_single_calls,
)

SystemRole = Literal["anywhere", "first", "nowhere"]
REASONING_FIELDS = ("reasoning_content", "thinking", "reasoning")
"""What templates call the thinking of an earlier answer."""
_NO_REASONING = frozenset(REASONING_FIELDS).isdisjoint


class MessageForm(NamedTuple):
    """What a template takes; by default everything."""

    system_role: SystemRole = "anywhere"
    takes_tools: bool = True
    """Tools, calls and results; if not, they have to become text (`tool_text`)."""
    arguments_as_dict: bool = True
    """If not, they stay the JSON text that OpenAI's API has them in."""
    short_ids: bool = False
    """Ids of calls have to be nine letters and digits."""
    single_calls: bool = False
    """A message may have one call only."""
    fills_descriptions: bool = False
    """Every property of a tool needs a description."""
    supplies_functions: bool = False
    """It looks for its tools as text in `functions`, and for the date in `datetime`."""
    may_append: bool = False
    """It changes lists, so that it needs copies and an environment that allows that."""
    separate_content: bool = False
    """A message has a content or calls, not both."""
    joins_thinking: bool = False
    """Beside calls, it takes thinking or a content, not both."""

    def normalise(self, messages: list[Message]) -> list[Message]:
        """The messages in this form; those that change are copies."""
        messages = [_with_content(message) for message in messages]
        if uses_tools(messages):
            messages = self._with_calls(messages)
        if self.system_role == "first":
            return _system_first(messages)
        return messages if self.system_role == "anywhere" else _system_in_user(messages)

    def _with_calls(self, messages: list[Message]) -> list[Message]:
        messages = with_matched_results(messages)
        if self.joins_thinking:
            messages = [_with_joined_thinking(message) for message in messages]
        if self.separate_content:
            messages = with_separate_content(messages)
        if self.single_calls:
            messages = with_single_calls(messages)
        if self.short_ids:
            messages = with_short_ids(messages)
        return with_arguments(messages, as_dict=self.arguments_as_dict)

    def variables(
        self, messages: list[Message], tools: list[dict[str, Any]] | None
    ) -> dict[str, Any]:
        """What the template is given; nothing for `tools` if there are none."""
        given: dict[str, Any] = {"messages": self.normalise(messages)}
        if tools:
            given["tools"] = with_descriptions(tools) if self.fills_descriptions else tools
        if self.supplies_functions:
            given["functions"] = json.dumps(tools or [], ensure_ascii=False, indent=4)
            given["datetime"] = datetime.now().strftime("%B %d, %Y")
        return copy.deepcopy(given) if self.may_append else given


def _with_content(message: Message) -> Message:
    """A text for every content, and the thinking under each of its names."""
    if message.get("content") is not None and _NO_REASONING(message):
        return message
    texts = [message[name] for name in REASONING_FIELDS if message.get(name)]
    thinking = dict.fromkeys(REASONING_FIELDS, texts[0]) if texts else {}
    content = message.get("content")
    return message | thinking | {"content": "" if content is None else content}


def _with_joined_thinking(message: Message) -> Message:
    """The content of a message with calls, put behind its thinking."""
    thinking = message.get(REASONING_FIELDS[0])
    if not (thinking and message["content"] and message.get("tool_calls")):
        return message
    joined = f"{thinking}\n\n{message['content']}"
    return message | dict.fromkeys(REASONING_FIELDS, joined) | {"content": ""}


def _split_system(messages: list[Message]) -> tuple[str, list[Message]]:
    system = [message["content"] for message in messages if message["role"] == "system"]
    return "\n\n".join(system), [m for m in messages if m["role"] != "system"]


def _system_first(messages: list[Message]) -> list[Message]:
    system, others = _split_system(messages)
    return [{"role": "system", "content": system}, *others] if system else others


def _system_in_user(messages: list[Message]) -> list[Message]:
    """The instructions in front of the first user message, or as the only one."""
    system, others = _split_system(messages)
    if not system:
        return others
    for index, message in enumerate(others):
        if message["role"] == "user":
            others[index] = message | {"content": f"{system}\n\n{message['content']}"}
            return others
    return [{"role": "user", "content": system}, *others]
