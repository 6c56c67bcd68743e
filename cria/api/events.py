"""What happens to the answer of a request, in the order in which it happens.

Per choice: thinking, then text and tool calls, then the end. Tokens and ids ride on the next event
of their choice, whatever that is.
"""

from __future__ import annotations

import msgspec

from cria.api.extras import Extras
from cria.api.logprobs import ScoredToken


class ChoiceDelta(msgspec.Struct, frozen=True):
    """More text of one choice, or only tokens."""

    index: int
    text: str
    tokens: tuple[ScoredToken, ...] = ()
    """Generated since the last event of this choice, if the answer shows tokens."""
    token_ids: tuple[int, ...] | None = None
    """The same; None unless they were asked for."""


class ReasoningDelta(msgspec.Struct, frozen=True):
    """More of its thinking."""

    index: int
    text: str
    tokens: tuple[ScoredToken, ...] = ()
    token_ids: tuple[int, ...] | None = None


class CallStarted(msgspec.Struct, frozen=True):
    """A tool call, `number` counted from 0 per choice; the one before is complete."""

    index: int
    number: int
    call_id: str
    """Unique: `call_` and 24 letters or digits."""
    name: str
    kind: str = "function"
    """Or `custom`: then its arguments are text, not JSON."""
    tokens: tuple[ScoredToken, ...] = ()
    """As of a `ChoiceDelta`; so the next one."""
    token_ids: tuple[int, ...] | None = None


class CallDelta(msgspec.Struct, frozen=True):
    """More of its arguments; those of a whole call are one JSON object, never nothing."""

    index: int
    number: int
    text: str
    tokens: tuple[ScoredToken, ...] = ()
    token_ids: tuple[int, ...] | None = None


class ChoiceFinished(msgspec.Struct, frozen=True):
    """The choice is complete; `finish_reason` is `stop`, `length` or `tool_calls`."""

    index: int
    finish_reason: str
    token_ids: tuple[int, ...] | None = None
    """Those that have made no text."""
    extras: Extras = Extras()
    """What is known of this choice alone."""
    stop_string: str | None = None
    """The one that ended it, if one has."""


class Heartbeat(msgspec.Struct, frozen=True):
    """Nothing has happened for a while; the run goes on."""


Event = ChoiceDelta | ReasoningDelta | CallStarted | CallDelta | ChoiceFinished | Heartbeat
