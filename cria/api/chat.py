"""`POST /v1/chat/completions`: the request, the whole answer and the chunks of a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from cria.api.chunks import Chunks, encode_text
from cria.api.generation_request import GenerationRequest, TokenLimit, check_token_limit
from cria.api.head import Choice, ResponseHead
from cria.api.messages import Message
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

_TOOLS = Refusal(reason="this server cannot call tools yet")
_NEEDS_TOOLS = Refusal(("none",), None, "it is only allowed when 'tools' are specified")


ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Prediction(msgspec.Struct):
    """A guess of the answer, which could make it faster."""

    type: Literal["content"]
    content: str | list[Any]


class ChatCompletionRequest(GenerationRequest, kw_only=True):
    """Continue a conversation."""

    UNSUPPORTED: ClassVar[Mapping[str, Refusal]] = {
        **OTHER_SERVERS,
        "tools": _TOOLS,
        "functions": _TOOLS,
        "tool_choice": _NEEDS_TOOLS,
        "function_call": _NEEDS_TOOLS,
        "logprobs": Refusal((False,)),
        "top_logprobs": Refusal(reason="it needs 'logprobs', which this server does not implement"),
        "modalities": Refusal((["text"],), "unsupported_value", "the model writes text only"),
        "audio": Refusal(reason="the model writes text only"),
        "store": Refusal((False,), reason="this server keeps no answers"),
        "web_search_options": Refusal(reason="this server does not search the web"),
        "moderation": Refusal(reason="this server has no moderation"),
    }
    NOTED: ClassVar[frozenset[str]] = frozenset(
        "user safety_identifier prompt_cache_key prompt_cache_retention prompt_cache_options "
        "metadata prediction verbosity reasoning_effort parallel_tool_calls".split()
    )

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: TokenLimit | None = None
    """Wins over `max_tokens`, its older name."""
    chat_template_kwargs: dict[str, str | int | float | bool | None] = {}
    """Further variables of the chat template, such as `enable_thinking`."""
    # The rest is checked and noted.
    safety_identifier: Annotated[str, Meta(max_length=128)] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    prompt_cache_options: dict[str, Any] | None = None
    metadata: (
        Annotated[
            dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
            Meta(max_length=16),
        ]
        | None
    ) = None
    prediction: Prediction | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    reasoning_effort: ReasoningEffort | None = None
    parallel_tool_calls: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_token_limit("max_completion_tokens", self.max_completion_tokens)
        _check_template_kwargs(self.chat_template_kwargs)

    def token_limit(self) -> int:
        newer = self.max_completion_tokens
        return self.max_tokens if newer is None else newer

    def template_messages(self) -> list[dict[str, Any]]:
        """The conversation as a chat template reads it."""
        return [message.for_template() for message in self.messages]

    def template_kwargs(self) -> dict[str, Any]:
        """Further variables of the template, such as `enable_thinking`."""
        return self.chat_template_kwargs


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
    logprobs: None
    finish_reason: str


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


def encode_chat(head: ResponseHead, choices: Sequence[Choice], usage: Usage) -> bytes:
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
        )
    )


def _chat_choice(choice: Choice) -> ChatChoice:
    message = ChatMessage("assistant", choice.text, None)
    return ChatChoice(choice.index, message, None, choice.finish_reason)


class ChatChunks(Chunks):
    """The JSON objects of one stream."""

    OBJECT = CHUNK_OBJECT

    def start(self, index: int) -> bytes | None:
        """The opening chunk of one choice, the only one with a role: clients join repeated ones."""
        return self._chunk(index, b'{"role":"assistant","content":"","refusal":null}', b"null")

    def delta(self, index: int, text: str) -> bytes:
        """Some new text of one choice."""
        return self._chunk(index, b'{"content":%b}' % encode_text(text), b"null")

    def finish(self, index: int, finish_reason: str) -> bytes:
        """The last chunk of one choice: no content."""
        return self._chunk(index, b"{}", encode_text(finish_reason))

    def _chunk(self, index: int, delta: bytes, finish_reason: bytes) -> bytes:
        return b'%b%d,"delta":%b,"logprobs":null,"finish_reason":%b%b' % (
            self._open_choice,
            index,
            delta,
            finish_reason,
            self._close_choice,
        )
