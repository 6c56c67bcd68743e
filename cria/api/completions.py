"""`POST /v1/completions`: the request, the whole answer and the chunks of a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from cria.api.chunks import Chunks, encode_text
from cria.api.generation_request import MAX_CHOICES, GenerationRequest, TokenLimit
from cria.api.head import Choice, ResponseHead
from cria.api.token_input import TokenId, TokenIds, as_list, check_same_kind
from cria.api.unsupported import OTHER_SERVERS, Refusal
from cria.api.usage import Usage, UsageObject, usage_object
from cria.errors import RequestError

OBJECT = "text_completion"
DEFAULT_MAX_TOKENS = 16


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
        check_same_kind(self.prompt, "prompt")
        _check_num_choices(len(self.prompt_list()), self.n)

    def prompt_list(self) -> list[str] | list[list[int]]:
        """One item a prompt, all text or all token ids; no prompt at all is the empty text."""
        return as_list(self.prompt or "")


def _check_best_of(best_of: int | None, n: int) -> None:
    if best_of not in (None, n):
        raise RequestError(
            f"Unsupported value: 'best_of' is {best_of} and 'n' is {n}; this server returns "
            "everything that it generates. Leave 'best_of' out.",
            param="best_of",
            code="unsupported_value",
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


class _Completion(msgspec.Struct):
    id: str
    object: str
    created: int
    model: str
    choices: list[_Choice]
    usage: UsageObject
    system_fingerprint: str
    service_tier: str | msgspec.UnsetType = msgspec.UNSET


def encode_completion(head: ResponseHead, choices: Sequence[Choice], usage: Usage) -> bytes:
    """The body of an answer that is not streamed."""
    return msgspec.json.encode(
        _Completion(
            id=head.id,
            object=OBJECT,
            created=head.created,
            model=head.model,
            choices=[_Choice(c.text, c.index, None, c.finish_reason) for c in choices],
            usage=usage_object(usage),
            system_fingerprint=head.system_fingerprint,
            service_tier=head.service_tier or msgspec.UNSET,
        )
    )


class CompletionChunks(Chunks):
    """The JSON objects of one stream."""

    OBJECT = OBJECT

    def start(self, index: int) -> bytes | None:
        """Completions have no opening chunk."""
        return None

    def delta(self, index: int, text: str) -> bytes:
        """Some new text of one choice."""
        return self._chunk(index, encode_text(text), b"null")

    def finish(self, index: int, finish_reason: str) -> bytes:
        """The last chunk of one choice."""
        return self._chunk(index, b'""', encode_text(finish_reason))

    def _chunk(self, index: int, text: bytes, finish_reason: bytes) -> bytes:
        return b'%b%d,"text":%b,"logprobs":null,"finish_reason":%b%b' % (
            self._open_choice,
            index,
            text,
            finish_reason,
            self._close_choice,
        )
