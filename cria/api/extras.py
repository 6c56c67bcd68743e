"""Members of an answer that OpenAI's has not: only there if the request asked for them."""

from __future__ import annotations

import msgspec

from cria.api.timings import TimingsObject


class Truncated(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was cut, over all prompts of the request."""

    policy: str
    prompt_tokens: int
    """Before."""
    kept_tokens: int
    """What was computed, and what `usage` counts."""
    dropped_messages: int = 0
    shifts: int = 0
    """How often the contexts of all choices together were shifted."""

    @property
    def says_something(self) -> bool:
        """Something was cut or shifted."""
        return self.prompt_tokens != self.kept_tokens or self.shifts > 0


class Extras(msgspec.Struct, frozen=True, omit_defaults=True):
    """Members of the top level."""

    timings: TimingsObject | None = None
    truncated: Truncated | None = None


NO_EXTRAS = Extras()


def encode_members(extras: Extras) -> bytes:
    """To be inserted into a JSON object before its closing brace: each member with its comma."""
    members = msgspec.json.encode(extras)[1:-1]
    return b"," + members if members else b""
