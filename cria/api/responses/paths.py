"""Where something stands in a response's request that is named by the fields of a chat."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cria.errors import ContextLengthExceeded, RequestError

INVALID_SCHEMA = "invalid_json_schema"

_TOOL = re.compile(r"tools\[(\d+)\](.*)", re.DOTALL)
_RENAMED = (
    ("response_format.json_schema", "text.format"),
    ("response_format", "text.format"),
    ("max_completion_tokens", "max_output_tokens"),
    ("max_tokens", "max_output_tokens"),
    ("reasoning_effort", "reasoning.effort"),
    ("verbosity", "text.verbosity"),
    ("messages", "input"),
)
_ONLY_IN_CHATS = ("response_format", "max_completion_tokens", "max_tokens")
"""Names that an error about another field may mention."""
_FLAT = re.compile(r"\.(?:function|custom)\b")
"""What is one level deeper in the tools of a chat."""


def own_path(path: str, tools: Sequence[str] = ()) -> str:
    """The path in a response's request; `tools` are the paths of the tools that a chat has."""
    if match := _TOOL.fullmatch(path):
        index = int(match[1])
        start = tools[index] if index < len(tools) else f"tools[{index}]"
        rest = match[2].replace(".custom.format.grammar", ".format")
        return start + _FLAT.sub("", rest, count=1)
    if path.startswith("tool_choice"):
        return path.replace(".allowed_tools", "").replace(".function", "").replace(".custom", "")
    for theirs, ours in _RENAMED:
        if path == theirs or path.startswith((f"{theirs}.", f"{theirs}[")):
            # Messages are made of several items each: which one it was is not known.
            return ours if theirs == "messages" else ours + path[len(theirs) :]
    return path


def own_error(error: RequestError, tools: Sequence[str] = ()) -> RequestError:
    """The same error, in the words of this route."""
    if error.param is None:
        return error
    theirs, error.param = error.param, own_path(error.param, tools)
    text = str(error)
    for name in (theirs, *_ONLY_IN_CHATS):
        text = text.replace(f"'{name}'", f"'{own_path(name, tools)}'")
    if isinstance(error, ContextLengthExceeded):
        text = text.replace("your messages", "your input").replace("the messages", "the input")
    if error.param == "text.format.schema" and text.startswith("Invalid schema"):
        error.code = INVALID_SCHEMA
    error.args = (text,)
    return error


@contextmanager
def own_words(tools: Sequence[str] = ()) -> Iterator[None]:
    """What is raised inside names this route's fields."""
    try:
        yield
    except RequestError as error:
        own_error(error, tools)
        raise
