"""`Overflow`: one request's policy for prompts and answers that the context cannot hold.

A policy that cuts leaves room for the answer: for `max_tokens`, but at most a quarter of the
context, and for a quarter if there is no limit. A begin-of-sequence token that the server puts
before a prompt stays where it is, and does not count as one of `n_keep`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from cria.api.extras import Truncated
from cria.api.generation_request import GenerationRequest
from cria.api.sampling_fields import MAX_INT32
from cria.errors import RequestError
from cria.prompt.truncation import Message, drop_oldest, keep_ends

MIN_ROOM = 4
"""The share of the context, one in so many, that is the most that is left for the answer."""


class Prompt(NamedTuple):
    """Token ids as they are computed, and how many there were before."""

    token_ids: list[int]
    num_original_tokens: int
    num_dropped_messages: int = 0


class Overflow:
    """Of one request; `begin_id` is the token that the server puts before prompts, if any.

    `most` are the tokens that the operator allows a prompt.
    """

    def __init__(
        self,
        request: GenerationRequest,
        context_size: int,
        begin_id: int | None = None,
        most: int | None = None,
    ) -> None:
        self._wish = request.overflow
        self._context_size = context_size
        self._begin_id = begin_id
        limit, share = request.token_limit(), max(1, context_size // MIN_ROOM)
        room = share if limit == -1 else min(limit, share)
        self.size = min(context_size - room, MAX_INT32 if most is None else most)
        """Tokens of a prompt that leaves room for the answer."""

    def fit(self, token_ids: list[int]) -> Prompt:
        """The prompt, token by token, as long as the policy allows."""
        size = self._prompt_size(len(token_ids))
        if len(token_ids) <= size:
            return Prompt(token_ids, len(token_ids))
        num_first = self._num_kept(token_ids)
        if self._wish.n_keep and num_first >= size:
            raise _kept_too_many(num_first, size)
        if self._wish.policy == "truncate_middle":
            num_first = max(num_first, size // 2)
        return Prompt(keep_ends(token_ids, size, min(num_first, size - 1)), len(token_ids))

    def fit_chat(
        self, messages: Sequence[Message], encode: Callable[[list[Message]], list[int]]
    ) -> Prompt:
        """The conversation: `truncate_left` drops whole turns, anything else cuts tokens."""
        token_ids = encode(list(messages))
        if self._wish.policy != "truncate_left":
            return self.fit(token_ids)
        if len(token_ids) <= self.size:
            return Prompt(token_ids, len(token_ids))
        short = drop_oldest(messages, encode, self.size)
        return Prompt(short.token_ids, len(token_ids), short.num_dropped_messages)

    def num_kept(self, token_ids: list[int]) -> int | None:
        """The tokens that stay when the context is shifted; None if it is not."""
        if not self._wish.shifts:
            return None
        num_kept = len(token_ids) if self._wish.n_keep == -1 else self._num_kept(token_ids)
        most = self._context_size - max(1, self._context_size // MIN_ROOM)
        if self._wish.n_keep and num_kept > most:
            raise _kept_too_many(num_kept, most)
        return num_kept

    def report(self, prompts: Sequence[Prompt]) -> Truncated | None:
        """What became of all of them; None if there is no policy."""
        if not (self._wish.cuts or self._wish.shifts):
            return None
        return Truncated(
            policy=self._wish.field if self._wish.policy == "error" else self._wish.policy,
            prompt_tokens=sum(prompt.num_original_tokens for prompt in prompts),
            kept_tokens=sum(len(prompt.token_ids) for prompt in prompts),
            dropped_messages=sum(prompt.num_dropped_messages for prompt in prompts),
        )

    def warnings(self, prompts: Sequence[Prompt]) -> tuple[str, ...]:
        """The field that has cut something."""
        report = self.report(prompts)
        is_cut = report is not None and report.prompt_tokens != report.kept_tokens
        return (self._wish.field,) if is_cut else ()

    def _prompt_size(self, num_tokens: int) -> int:
        limit = self._wish.prompt_limit
        if limit is not None:
            return self.size if limit == -1 else limit
        return self.size if self._wish.cuts_by_policy else num_tokens

    def _num_kept(self, token_ids: list[int]) -> int:
        begins = self._begin_id is not None and token_ids[:1] == [self._begin_id]
        return begins + max(0, self._wish.n_keep or 0)


def _kept_too_many(num_kept: int, most: int) -> RequestError:
    return RequestError(
        f"Invalid 'n_keep': it keeps {num_kept} tokens at the start of the prompt, and there is "
        f"room for {most}. Send less.",
        param="n_keep",
        code="invalid_value",
    )
