"""`POST /v1/completions`: the request, the whole answer and the chunks of a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from cria.api.best_of import best_choices
from cria.api.chunks import Chunks, ids_member
from cria.api.extras import NO_EXTRAS, Extras, Truncated
from cria.api.generation_request import (
    MAX_CHOICES,
    GenerationRequest,
    NumTopLogprobs,
    TokenLimit,
)
from cria.api.head import Choice, ResponseHead
from cria.api.logprobs import CompletionLogprobs, completion_logprobs
from cria.api.sampling_fields import TokenId
from cria.api.timings import TimingsObject
from cria.api.token_input import TokenIds, as_list, check_same_kind
from cria.api.unsupported import OTHER_SERVERS, Refusal
from cria.api.usage import Usage, UsageObject, usage_object
from cria.errors import RequestError
from cria.sampling_params import SamplingParams

OBJECT = "text_completion"
DEFAULT_MAX_TOKENS = 16


class CompletionRequest(GenerationRequest, kw_only=True):
    """Continue one or several prompts."""

    UNSUPPORTED: ClassVar[Mapping[str, Refusal]] = {
        **OTHER_SERVERS,
        "max_completion_tokens": Refusal(reason="completions know it as 'max_tokens'"),
    }
    NOTED: ClassVar[frozenset[str]] = frozenset({"user"})

    prompt: str | Annotated[list[str | TokenId | TokenIds], Meta(min_length=1)] | None
    """Text, texts, token ids, or lists of token ids."""
    suffix: str | None = None
    """The text after the answer, for models that can fill in the middle; none if it is empty."""
    max_tokens: TokenLimit = DEFAULT_MAX_TOKENS
    best_of: Annotated[int, Meta(ge=1, le=128)] | None = None
    """Candidates, of which the `n` most likely ones are answered."""
    echo: bool = False
    """The answer begins with the prompt."""
    logprobs: NumTopLogprobs | None = None
    """How many most likely tokens to show beside each token."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_best_of(self)
        check_same_kind(self.prompt, "prompt")
        if self.suffix and self.echo:
            raise _no_echo_with_suffix()
        if self.suffix and (self.overflow.cuts or self.overflow.shifts):
            raise _no_overflow_with_suffix(self.overflow.field)
        _check_num_choices(len(self.prompt_list()), self.num_candidates)

    @property
    def least_tokens(self) -> int:
        """0 where the answer is the prompt itself."""
        return 0 if self.echo else 1

    @property
    def num_logprobs(self) -> int | None:
        return self.logprobs

    @property
    def num_candidates(self) -> int:
        """Of each prompt, that are generated."""
        return self.best_of or self.n

    def answered(self, choices: Sequence[Choice]) -> list[Choice]:
        if self.num_candidates > self.n:
            choices = best_choices(choices, self.num_candidates, self.n)
        if self.logprobs is None:
            choices = [msgspec.structs.replace(choice, tokens=None) for choice in choices]
        return list(choices)

    def sampling_params(self) -> SamplingParams:
        params = super().sampling_params()
        if self.num_candidates > self.n and params.logprobs is None:
            params = msgspec.structs.replace(params, logprobs=0)  # to compare them by
        if self.echo and self.logprobs is not None:
            params = msgspec.structs.replace(params, prompt_logprobs_from=1)
        return params

    def prompt_list(self) -> list[str] | list[list[int]]:
        """One item a prompt, all text or all token ids; no prompt at all is the empty text."""
        return as_list(self.prompt or "")


class CompletionFullRequest(CompletionRequest, kw_only=True):
    """The same, never streamed."""

    STREAM: ClassVar[bool | None] = False


class CompletionStreamRequest(CompletionRequest, kw_only=True):
    """The same, always streamed."""

    STREAM: ClassVar[bool | None] = True

    stream: bool = True


def _check_best_of(request: CompletionRequest) -> None:
    best_of, n = request.best_of, request.n
    if best_of is not None and best_of < n:
        raise RequestError(
            f"Invalid 'best_of': {best_of} is less than 'n', which is {n}. It is the number of "
            "candidates from which the 'n' best are answered.",
            param="best_of",
            code="invalid_value",
        )
    if request.streams and request.num_candidates > n:
        raise RequestError(
            "Invalid 'best_of': which candidates are the best is known when all are complete. "
            "Leave out 'stream' or 'best_of'.",
            param="best_of",
            code="invalid_value",
        )


def _no_overflow_with_suffix(field: str) -> RequestError:
    return RequestError(
        f"Invalid '{field}': a prompt with a 'suffix' cannot be cut, since that would remove the "
        "tokens that say which is which. Send less of both.",
        param=field,
        code="invalid_value",
    )


def _no_echo_with_suffix() -> RequestError:
    return RequestError(
        "Unsupported parameter: 'echo' cannot be honoured together with 'suffix', which has the "
        "answer stand between two texts. Leave one of them out.",
        param="echo",
        code="unsupported_parameter",
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
    logprobs: CompletionLogprobs | None
    finish_reason: str
    token_ids: Sequence[int] | msgspec.UnsetType = msgspec.UNSET
    prompt_token_ids: Sequence[int] | msgspec.UnsetType = msgspec.UNSET


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
    timings: TimingsObject | msgspec.UnsetType = msgspec.UNSET
    truncated: Truncated | msgspec.UnsetType = msgspec.UNSET


def encode_completion(
    head: ResponseHead, choices: Sequence[Choice], usage: Usage, extras: Extras = NO_EXTRAS
) -> bytes:
    """The body of an answer that is not streamed."""
    return msgspec.json.encode(
        Completion(
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


def _completion_choice(choice: Choice) -> CompletionChoice:
    logprobs = completion_logprobs(choice.tokens)
    made = CompletionChoice(choice.text, choice.index, logprobs, choice.finish_reason)
    if choice.token_ids is not None:
        made.token_ids = choice.token_ids
    if choice.prompt_token_ids is not None:
        made.prompt_token_ids = choice.prompt_token_ids
    return made


class CompletionChunks(Chunks):
    """The JSON objects of one stream."""

    OBJECT = OBJECT
    TEXT_MEMBER, NO_TEXT = b'"text":', b'""'
    shape_logprobs = staticmethod(completion_logprobs)

    @staticmethod
    def shape_text(text: bytes) -> bytes:
        """As it is."""
        return text

    def start(self, index: int, prompt_token_ids: Sequence[int] | None = None) -> bytes | None:
        """Completions have no opening chunk, unless it tells the tokens of the prompt."""
        if prompt_token_ids is None:
            return None
        ids = ids_member(b"token_ids", ()) + ids_member(b"prompt_token_ids", prompt_token_ids)
        return self._chunk(index, b'""', b"null" + ids)
