"""`POST /v1/completions`: the request, the whole answer and the chunks of a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, cast

import msgspec
from msgspec import Meta

from cria.api.chunks import Chunks, encode_text
from cria.api.generation_request import MAX_CHOICES, GenerationRequest, TokenId, TokenLimit
from cria.api.head import Choice, ResponseHead
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
    """Text, texts, token ids, or lists of token ids."""
    max_tokens: TokenLimit = DEFAULT_MAX_TOKENS
    best_of: Annotated[int, Meta(ge=1, le=128)] | None = None
    """The same as `n`, if at all: all that is generated is returned."""

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


class CompletionFullRequest(CompletionRequest, kw_only=True):
    """The same, never streamed."""

    STREAM: ClassVar[bool | None] = False


class CompletionStreamRequest(CompletionRequest, kw_only=True):
    """The same, always streamed."""

    STREAM: ClassVar[bool | None] = True

    stream: bool = True


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


class CompletionChoice(msgspec.Struct):
    """One finished generation."""

    text: str
    index: int
    logprobs: None
    finish_reason: str


class Completion(msgspec.Struct):
    """The whole answer."""

    id: str
    object: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: UsageObject
    system_fingerprint: str
    service_tier: str | msgspec.UnsetType = msgspec.UNSET


def encode_completion(head: ResponseHead, choices: Sequence[Choice], usage: Usage) -> bytes:
    """The body of an answer that is not streamed."""
    return msgspec.json.encode(
        Completion(
            id=head.id,
            object=OBJECT,
            created=head.created,
            model=head.model,
            choices=[CompletionChoice(c.text, c.index, None, c.finish_reason) for c in choices],
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
