"""What a request wants done if its prompt, or its answer, is longer than the context.

`context_overflow` is this server's own; `truncate_prompt_tokens` is vLLM's, `n_keep` llama.cpp's.
What contradicts itself is refused here, before anything is tokenised.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from cria.errors import RequestError

OverflowPolicy = Literal["error", "truncate_left", "truncate_middle", "shift"]
TokenCount = Annotated[int, Meta(ge=-1, le=2**31 - 1)]


class OverflowWish(msgspec.Struct, frozen=True):
    """The three fields, as sent."""

    policy: OverflowPolicy = "error"
    prompt_limit: int | None = None
    """`truncate_prompt_tokens`; -1 is what fits."""
    n_keep: int | None = None
    """-1 is all of the prompt."""

    @property
    def cuts_by_policy(self) -> bool:
        return self.policy in ("truncate_left", "truncate_middle")

    @property
    def cuts(self) -> bool:
        """Prompts may lose tokens."""
        return self.cuts_by_policy or self.prompt_limit is not None

    @property
    def shifts(self) -> bool:
        """Answers may go on where the context ends."""
        return self.policy == "shift"

    @property
    def field(self) -> str:
        """The request's field that cuts prompts."""
        return "truncate_prompt_tokens" if self.prompt_limit is not None else "context_overflow"


def check_overflow(wish: OverflowWish, token_limit: int) -> None:
    """Raise if the fields contradict each other; `token_limit` is -1 if there is none."""
    if wish.prompt_limit == 0:
        raise _invalid("truncate_prompt_tokens", "0 tokens are no prompt. Send -1, or 1 or more")
    if wish.prompt_limit is not None and wish.cuts_by_policy:
        raise _invalid(
            "truncate_prompt_tokens",
            f"'context_overflow' is '{wish.policy}', which cuts the prompt too. Send one of them",
        )
    if wish.shifts and token_limit == -1:
        raise RequestError(
            "'context_overflow' is 'shift', so the answer might never end. Send 'max_tokens'.",
            param="max_tokens",
            code="missing_required_parameter",
        )
    _check_kept(wish)


def _check_kept(wish: OverflowWish) -> None:
    limit = wish.prompt_limit
    if wish.n_keep == -1 and wish.cuts:
        raise _invalid("n_keep", "-1 keeps all of the prompt, which is to be cut. Send a number")
    if wish.n_keep and limit is not None and 0 < limit <= wish.n_keep:
        raise _invalid(
            "n_keep", f"'truncate_prompt_tokens' is {limit}, and {wish.n_keep} tokens are to stay"
        )


def check_chat_overflow(wish: OverflowWish) -> None:
    """Raise for what makes no sense where whole messages are dropped."""
    if wish.policy == "truncate_middle":
        raise RequestError(
            "Unsupported value: 'context_overflow' cannot be 'truncate_middle' for messages: half "
            "of a message is none. Send 'truncate_left', which drops the oldest ones.",
            param="context_overflow",
            code="unsupported_value",
        )
    if wish.policy == "truncate_left" and wish.n_keep:
        raise _invalid("n_keep", "of messages, whole ones are dropped, and system messages stay")


def _invalid(name: str, reason: str) -> RequestError:
    return RequestError(f"Invalid '{name}': {reason}.", param=name, code="invalid_value")
