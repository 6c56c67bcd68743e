"""`ReasoningFormat`: how a model writes its thinking, as data."""

from __future__ import annotations

import enum
import re
from typing import NamedTuple


class ReasoningFormat(NamedTuple):
    """Thinking stands between `open` and `close`, before the answer."""

    open: str
    close: str
    headers: tuple[str, ...] = ()
    """Texts that only announce the answer (`<|channel|>final<|message|>`) and are dropped.

    The first is the whole of what stands between thinking and answer.
    """


THINK = ReasoningFormat("<think>", "</think>")
"""Of most models."""

GPT_OSS = ReasoningFormat(
    "<|channel|>analysis<|message|>",
    "<|end|>",
    (
        "<|start|>assistant<|channel|>final<|message|>",
        "<|channel|>final<|message|>",
        "<|channel|>final <|constrain|>json<|message|>",
        "<|channel|>final <|constrain|>JSON<|message|>",
        "<|channel|>commentary<|message|>",
        "<|channel|>commentary",
        "<|start|>assistant",
        "<|end|>",
    ),
)
GEMMA_4 = ReasoningFormat("<|channel>thought\n", "<channel|>")
APRIEL = ReasoningFormat("Here are my reasoning steps:\n", "[BEGIN FINAL RESPONSE]")
SOLAR = ReasoningFormat(
    "<|think|>",
    "<|end|>",
    ("<|begin|>assistant<|content|>", "<|begin|>assistant", "<|content|>"),
)
KIMI_K3 = ReasoningFormat(
    "<|open|>think<|sep|>",
    "<|close|>think<|sep|>",
    ("<|open|>response<|sep|>", "<|close|>response<|sep|>"),
)
MUSE = ReasoningFormat(
    " to=self<|message|>",
    "<|eom|>",
    ("<|start|>assistant to=user<|message|>", " to=user<|message|>", "<|start|>assistant"),
)

KNOWN = {
    "<|channel|>analysis<|message|>": GPT_OSS,
    "<|channel>thought": GEMMA_4,
    "[BEGIN FINAL RESPONSE]": APRIEL,
    "assistant<|think|>": SOLAR,
    "open_tag('think')": KIMI_K3,
    "assistant to=self<|message|>": MUSE,
    "<|START_THINKING|>": ReasoningFormat(
        "<|START_THINKING|>", "<|END_THINKING|>", ("<|START_RESPONSE|>", "<|START_TEXT|>")
    ),
    "[THINK]": ReasoningFormat("[THINK]", "[/THINK]"),
    "<seed:think>": ReasoningFormat("<seed:think>", "</seed:think>"),
    "<mm:think>": ReasoningFormat("<mm:think>", "</mm:think>"),
    "<think:opensource>": ReasoningFormat("<think:opensource>", "</think:opensource>"),
    "</think>": THINK,
}
"""By what the source of such a model's template has, the tell-tale ones first."""


class Start(enum.Enum):
    """What the prompt leaves to the model."""

    OPEN = "open"
    """The prompt has opened the thinking: the answer begins in the midst of it."""
    CLOSED = "closed"
    """The prompt has closed the thinking: there is none."""
    FREE = "free"
    """The model decides."""


def starts_thinking(format: ReasoningFormat, generation_prompt_tail: str) -> Start:
    """How the prompt ends; the end of a whole prompt does."""
    tail = generation_prompt_tail.rstrip()
    open_, close = format.open.strip(), format.close.strip()
    if tail.endswith(open_):
        return Start.OPEN
    if tail.endswith((close, *format.headers[:1])):
        return Start.CLOSED
    # An empty pair, and the role of the next message.
    pair = rf"{re.escape(open_)}\s*{re.escape(close)}\S{{0,40}}\Z"
    return Start.CLOSED if re.search(pair, tail) else Start.FREE
