"""`POST /v1/chat/completions`: the request, the whole answer and the chunks of a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from cria.api.chunks import Chunks, ids_member
from cria.api.conversation import cache_hints, can_be_continued, check_calls, check_strictly
from cria.api.extras import NO_EXTRAS, Extras, Truncated
from cria.api.generation_request import (
    GenerationRequest,
    NumTopLogprobs,
    TokenLimit,
    check_token_limit,
)
from cria.api.head import Choice, ResponseHead
from cria.api.logprobs import ChatLogprobs, chat_logprobs
from cria.api.messages import Message, TextPart, media_refusal
from cria.api.overflow import check_chat_overflow
from cria.api.reasoning import Reasoning, ReasoningEffort, check_reasoning, thinking_kwargs
from cria.api.sampling_fields import MAX_INT32
from cria.api.timings import TimingsObject
from cria.api.tools import NO_TOOLS, Function, Named, Tool, ToolChoice, ToolPlan
from cria.api.unsupported import OTHER_SERVERS, Refusal
from cria.api.usage import Usage, UsageObject, usage_object
from cria.errors import RequestError

OBJECT = "chat.completion"
CHUNK_OBJECT = "chat.completion.chunk"

RESERVED_TEMPLATE_KWARGS = frozenset(
    "chat_template messages tools functions documents add_generation_prompt tokenize bos_token "
    "eos_token raise_exception strftime_now namespace range dict lipsum cycler joiner".split()
)
"""What a template gets from the server; a client that could replace these could break it."""


class Prediction(msgspec.Struct):
    """A guess of the answer, which could make it faster."""

    type: Literal["content"]
    content: str | list[TextPart]


class PromptCacheOptions(msgspec.Struct):
    """How long to keep a prompt; here it is kept until others need its place."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: str | None = None


class Audio(msgspec.Struct):
    """How speech would sound, if `modalities` asked for it."""

    format: str | None = None
    voice: str | dict[str, Any] | None = None


class ChatCompletionRequest(GenerationRequest, kw_only=True):
    """Continue a conversation."""

    UNSUPPORTED: ClassVar[Mapping[str, Refusal]] = {
        **OTHER_SERVERS,
        "modalities": Refusal((["text"],), "unsupported_value", "the model writes text only"),
        "store": Refusal((False,), reason="this server keeps no answers"),
        "web_search_options": Refusal(
            reason="this server does not search the web", empty_is_nothing=False
        ),
        "moderation": Refusal(reason="this server has no moderation"),
        "best_of": Refusal((1,), reason="/v1/completions has it"),
        "suffix": Refusal(reason="/v1/completions has it"),
        "echo": Refusal((False,), reason="the answer holds the new text alone"),
    }
    NOTED: ClassVar[frozenset[str]] = frozenset(
        "user safety_identifier prompt_cache_key prompt_cache_retention prompt_cache_options "
        "metadata prediction audio".split()
    )

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: TokenLimit | None = None
    """Wins over `max_tokens`, its older name."""
    logprobs: bool = False
    top_logprobs: NumTopLogprobs | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    tools: list[Tool] = []
    """What the model may call."""
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: list[Function] = []
    """`tools` by its older name."""
    function_call: Literal["none", "auto"] | Named | None = None
    reasoning_format: Literal["none", "auto", "deepseek", "deepseek-legacy"] | None = None
    """`none` leaves the thinking in the text, with its marks."""
    reasoning_budget: Annotated[int, Meta(ge=-1, le=MAX_INT32)] | None = None
    """Tokens that the model may think; -1 is no limit, 0 no thinking."""
    # Variables of the chat template, if it has them.
    reasoning_effort: ReasoningEffort | None = None
    reasoning: Reasoning | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    chat_template_kwargs: dict[str, str | int | float | bool | None] = {}
    """Further variables of the chat template, such as `enable_thinking`."""
    # The rest is checked and noted.
    safety_identifier: Annotated[str, Meta(max_length=128)] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    prompt_cache_options: PromptCacheOptions | None = None
    metadata: (
        Annotated[
            dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
            Meta(max_length=16),
        ]
        | None
    ) = None
    prediction: Prediction | None = None
    audio: Audio | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_token_limit("max_completion_tokens", self.max_completion_tokens)
        check_chat_overflow(self.overflow)
        _check_template_kwargs(self.chat_template_kwargs)
        _check_top_logprobs(self.top_logprobs, self.logprobs)
        check_reasoning(self.reasoning_effort, self.reasoning or Reasoning())
        check_calls(self.messages)
        self._check_continuation()

    @property
    def tool_plan(self) -> ToolPlan:
        """What may be called, and whether it must be."""
        return NO_TOOLS

    def _check_continuation(self) -> None:
        if not self.continue_final_message:
            return
        if self.add_generation_prompt:
            problem = "it excludes 'add_generation_prompt': true"
        elif not can_be_continued(self.messages[-1]):
            problem = "the last message has to be the assistant's, without tool calls"
        else:
            return
        raise RequestError(
            f"Invalid 'continue_final_message': {problem}.",
            param="continue_final_message",
            code="invalid_value",
        )

    @classmethod
    def explain(cls, fields: dict[str, Any]) -> RequestError | None:
        return media_refusal(fields.get("messages"))

    def check_strictly(self) -> None:
        check_strictly(self.messages)

    def without_effect(self) -> Iterator[str]:
        yield from super().without_effect()
        if self.max_completion_tokens is not None and self.max_tokens != -1:
            yield "max_tokens"
        yield from cache_hints(self.messages)

    @property
    def logprobs_field(self) -> str:
        return "top_logprobs"

    @property
    def num_logprobs(self) -> int | None:
        return self.top_logprobs or 0 if self.logprobs else None

    def token_limit(self) -> int:
        newer = self.max_completion_tokens
        return self.max_tokens if newer is None else newer

    def template_messages(self) -> list[dict[str, Any]]:
        """The conversation as a chat template reads it."""
        return [message.for_template() for message in self.messages]

    @property
    def continues_last(self) -> bool:
        """The answer goes on with the last message, instead of opening one of its own."""
        if self.continue_final_message is not None:
            return self.continue_final_message
        return not self.add_generation_prompt and can_be_continued(self.messages[-1])

    @property
    def opens_answer(self) -> bool:
        """The prompt ends with the beginning of a message of the assistant's."""
        return self.add_generation_prompt is not False

    def template_kwargs(self) -> dict[str, Any]:
        """Further variables of the template, such as `enable_thinking`."""
        kwargs: dict[str, Any] = {}
        for given in self._template_options().values():
            kwargs |= given
        return kwargs

    def unused_options(self, variables: frozenset[str]) -> tuple[str, ...]:
        """Paths of the fields that a template with these variables does not look at."""
        options = self._template_options().items()
        return tuple(path for path, given in options if variables.isdisjoint(given))

    def _template_options(self) -> dict[str, dict[str, Any]]:
        """The variables by the field that sets them; later ones win."""
        reasoning = self.reasoning or Reasoning()
        options = {
            "verbosity": {} if self.verbosity is None else {"verbosity": self.verbosity},
            "reasoning_effort": thinking_kwargs(self.reasoning_effort),
            "reasoning": thinking_kwargs(reasoning.effort, reasoning.enabled),
        }
        for name, value in self.chat_template_kwargs.items():
            options[f"chat_template_kwargs.{name}"] = {name: value}
        return {path: given for path, given in options.items() if given}


def _check_top_logprobs(top_logprobs: int | None, logprobs: bool) -> None:
    if top_logprobs is not None and not logprobs:
        raise RequestError(
            "Invalid 'top_logprobs': it is only allowed when 'logprobs' is true.",
            param="top_logprobs",
            code="invalid_value",
        )


class ChatCompletionFullRequest(ChatCompletionRequest, kw_only=True):
    """The same, never streamed."""

    STREAM: ClassVar[bool | None] = False


class ChatCompletionStreamRequest(ChatCompletionRequest, kw_only=True):
    """The same, always streamed."""

    STREAM: ClassVar[bool | None] = True

    stream: bool = True


def _check_template_kwargs(kwargs: Mapping[str, object]) -> None:
    reserved = RESERVED_TEMPLATE_KWARGS.intersection(kwargs)
    if reserved:
        name = min(reserved)
        raise RequestError(
            f"Invalid 'chat_template_kwargs': '{name}' is set by the server. Leave it out.",
            param=f"chat_template_kwargs.{name}",
            code="invalid_value",
        )


class ChatMessage(msgspec.Struct):
    """What the model has answered."""

    role: str
    content: str
    refusal: None


class ChatChoice(msgspec.Struct):
    """One finished generation."""

    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None
    finish_reason: str
    token_ids: Sequence[int] | msgspec.UnsetType = msgspec.UNSET


class ChatCompletion(msgspec.Struct):
    """The whole answer."""

    id: str
    object: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: UsageObject
    system_fingerprint: str
    service_tier: str | msgspec.UnsetType = msgspec.UNSET
    timings: TimingsObject | msgspec.UnsetType = msgspec.UNSET
    truncated: Truncated | msgspec.UnsetType = msgspec.UNSET
    prompt_token_ids: Sequence[int] | msgspec.UnsetType = msgspec.UNSET


def encode_chat(
    head: ResponseHead, choices: Sequence[Choice], usage: Usage, extras: Extras = NO_EXTRAS
) -> bytes:
    """The body of an answer that is not streamed."""
    return msgspec.json.encode(
        ChatCompletion(
            id=head.id,
            object=OBJECT,
            created=head.created,
            model=head.model,
            choices=[_chat_choice(choice) for choice in choices],
            usage=usage_object(usage),
            system_fingerprint=head.system_fingerprint,
            service_tier=head.service_tier or msgspec.UNSET,
            timings=extras.timings or msgspec.UNSET,
            truncated=extras.truncated or msgspec.UNSET,
            prompt_token_ids=_prompt_of(choices),
        )
    )


def _chat_choice(choice: Choice) -> ChatChoice:
    message = ChatMessage("assistant", choice.text, None)
    logprobs = chat_logprobs(choice.tokens)
    made = ChatChoice(choice.index, message, logprobs, choice.finish_reason)
    if choice.token_ids is not None:
        made.token_ids = choice.token_ids
    return made


def _prompt_of(choices: Sequence[Choice]) -> Sequence[int] | msgspec.UnsetType:
    """All choices of a conversation have the same one."""
    ids = choices[0].prompt_token_ids if choices else None
    return msgspec.UNSET if ids is None else ids


class ChatChunks(Chunks):
    """The JSON objects of one stream."""

    OBJECT = CHUNK_OBJECT
    TEXT_MEMBER, NO_TEXT = b'"delta":', b"{}"
    shape_logprobs = staticmethod(chat_logprobs)

    @staticmethod
    def shape_text(text: bytes) -> bytes:
        """Of a message."""
        return b'{"content":%b}' % text

    def start(self, index: int, prompt_token_ids: Sequence[int] | None = None) -> bytes | None:
        """The opening chunk of one choice, the only one with a role: clients join repeated ones."""
        delta = b'{"role":"assistant","content":"","refusal":null}'
        ids = ids_member(b"token_ids", None if prompt_token_ids is None else ())
        prompt = ids_member(b"prompt_token_ids", prompt_token_ids)
        return self._chunk(index, delta, b"null" + ids, prompt)
