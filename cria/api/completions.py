"""`POST /v1/completions`: the request, the whole answer and the chunks of a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, cast

import msgspec
from msgspec import Meta

from cria.api.chunks import Chunks, encode_text, ids_member
from cria.api.extras import NO_EXTRAS, Extras, Truncated, encode_members
from cria.api.generation_request import MAX_CHOICES, GenerationRequest, TokenId, TokenLimit
from cria.api.head import Choice, ResponseHead
from cria.api.timings import TimingsObject
from cria.api.unsupported import OTHER_SERVERS, Refusal
from cria.api.usage import Usage, UsageObject, usage_object
from cria.errors import RequestError

OBJECT = "text_completion"
DEFAULT_MAX_TOKENS = 16

TokenIds = Annotated[list[TokenId], Meta(min_length=1)]


class CompletionRequest(GenerationRequest, kw_only=True):
    """Continue one or several prompts."""

    UNSUPPORTED: ClassVar[Mapping[str, Refusal]] = {
        **OTHER_SERVERS,
        "suffix": Refusal(),
        "echo": Refusal((False,)),
        "logprobs": Refusal(),
        "max_completion_tokens": Refusal(reason="completions know it as 'max_tokens'"),
    }
    NOTED: ClassVar[frozenset[str]] = frozenset({"user"})

    prompt: str | Annotated[list[str | TokenId | TokenIds], Meta(min_length=1)] | None
    max_tokens: TokenLimit = DEFAULT_MAX_TOKENS
    best_of: Annotated[int, Meta(ge=1, le=128)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_best_of(self.best_of, self.n)
        _check_prompt(self.prompt)
        _check_num_choices(len(self.prompt_list()), self.n)

    def prompt_list(self) -> list[str] | list[list[int]]:
        """One item a prompt, all text or all token ids; no prompt at all is the empty text."""
        prompt = self.prompt or ""
        if isinstance(prompt, str):
            return [prompt]
        if isinstance(prompt[0], int):
            return [cast("list[int]", prompt)]
        return cast("list[str] | list[list[int]]", prompt)


def _check_best_of(best_of: int | None, n: int) -> None:
    if best_of not in (None, n):
        raise RequestError(
            f"Unsupported value: 'best_of' is {best_of} and 'n' is {n}; this server returns "
            "everything that it generates. Leave 'best_of' out.",
            param="best_of",
            code="unsupported_value",
        )


def _check_prompt(prompt: object) -> None:
    if isinstance(prompt, list) and len({type(item) for item in prompt}) > 1:
        raise RequestError(
            "Invalid type for 'prompt': expected a string, an array of strings, an array of "
            "token ids or an array of arrays of token ids, but got a mixture instead.",
            param="prompt",
            code="invalid_type",
        )


def _check_num_choices(num_prompts: int, n: int) -> None:
    if num_prompts * n > MAX_CHOICES:
        raise RequestError(
            f"Invalid 'prompt': array too long. {num_prompts} prompts with n = {n} are more than "
            f"{MAX_CHOICES} choices. Send several requests.",
            param="prompt",
            code="array_above_max_length",
        )


class _Choice(msgspec.Struct):
    text: str
    index: int
    logprobs: None
    finish_reason: str
    token_ids: Sequence[int] | msgspec.UnsetType = msgspec.UNSET
    prompt_token_ids: Sequence[int] | msgspec.UnsetType = msgspec.UNSET


class _Completion(msgspec.Struct):
    id: str
    object: str
    created: int
    model: str
    choices: list[_Choice]
    usage: UsageObject
    system_fingerprint: str
    service_tier: str | msgspec.UnsetType = msgspec.UNSET
    timings: TimingsObject | msgspec.UnsetType = msgspec.UNSET
    truncated: Truncated | msgspec.UnsetType = msgspec.UNSET


def encode_completion(
    head: ResponseHead, choices: Sequence[Choice], usage: Usage, extras: Extras = NO_EXTRAS
) -> bytes:
    """The body of an answer that is not streamed."""
    return msgspec.json.encode(
        _Completion(
            id=head.id,
            object=OBJECT,
            created=head.created,
            model=head.model,
            choices=[_completion_choice(choice) for choice in choices],
            usage=usage_object(usage),
            system_fingerprint=head.system_fingerprint,
            service_tier=head.service_tier or msgspec.UNSET,
            timings=extras.timings or msgspec.UNSET,
            truncated=extras.truncated or msgspec.UNSET,
        )
    )


def _completion_choice(choice: Choice) -> _Choice:
    made = _Choice(choice.text, choice.index, None, choice.finish_reason)
    if choice.token_ids is not None:
        made.token_ids = choice.token_ids
    if choice.prompt_token_ids is not None:
        made.prompt_token_ids = choice.prompt_token_ids
    return made


class CompletionChunks(Chunks):
    """The JSON objects of one stream."""

    OBJECT = OBJECT

    def start(self, index: int, prompt_token_ids: Sequence[int] | None = None) -> bytes | None:
        """Completions have no opening chunk, unless it tells the tokens of the prompt."""
        if prompt_token_ids is None:
            return None
        ids = ids_member(b"token_ids", ()) + ids_member(b"prompt_token_ids", prompt_token_ids)
        return self._chunk(index, b'""', b"null" + ids)

    def delta(self, index: int, text: str, token_ids: Sequence[int] | None = None) -> bytes:
        """Some new text of one choice, and the tokens since its last chunk."""
        return self._chunk(index, encode_text(text), b"null" + ids_member(b"token_ids", token_ids))

    def finish(
        self,
        index: int,
        finish_reason: str,
        token_ids: Sequence[int] | None = None,
        extras: Extras = NO_EXTRAS,
    ) -> bytes:
        """The last chunk of one choice."""
        end = encode_text(finish_reason) + ids_member(b"token_ids", token_ids)
        return self._chunk(index, b'""', end, encode_members(extras))

    def _chunk(self, index: int, text: bytes, finish_reason: bytes, members: bytes = b"") -> bytes:
        """`finish_reason` may have further members of the choice behind it."""
        return b'%b%d,"text":%b,"logprobs":null,"finish_reason":%b%b' % (
            self._open_choice,
            index,
            text,
            finish_reason,
            self._close_with(members) if members else self._close_choice,
        )
