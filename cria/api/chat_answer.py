"""What `POST /v1/chat/completions` answers: the whole object, and the chunks of a stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from cria.api.chunks import Chunks, encode_text, ids_member
from cria.api.events import CallDelta, CallStarted, ReasoningDelta
from cria.api.extras import NO_EXTRAS, Extras, Truncated
from cria.api.head import Call, Choice, ResponseHead
from cria.api.logprobs import ChatLogprobs, chat_logprobs
from cria.api.timings import TimingsObject
from cria.api.usage import Usage, UsageObject, usage_object

OBJECT = "chat.completion"
CHUNK_OBJECT = "chat.completion.chunk"


class ChatStyle(NamedTuple):
    """What may differ from request to request."""

    reasoning_names: tuple[str, ...] = ("reasoning_content",)
    """The members that hold the thinking; none does not show it."""
    is_legacy: bool = False
    """A call is `function_call`, as it was before there were tools."""

    def finish_reason(self, reason: str) -> str:
        """As the client knows it."""
        return "function_call" if self.is_legacy and reason == "tool_calls" else reason


USUAL = ChatStyle()


class FunctionText(msgspec.Struct):
    """What is called, and the JSON text of its arguments."""

    name: str
    arguments: str


class CustomText(msgspec.Struct):
    """What is called, and the text for it."""

    name: str
    input: str


class ChatFunctionCall(msgspec.Struct, tag_field="type", tag="function"):
    """The model wants a function called."""

    id: str
    function: FunctionText


class ChatCustomCall(msgspec.Struct, tag_field="type", tag="custom"):
    """The model wants a custom tool called."""

    id: str
    custom: CustomText


class ChatMessage(msgspec.Struct):
    """What the model has answered; `content` is null if that is calls alone."""

    role: str
    content: str | None
    refusal: None
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET
    """What it thought before, if that is told from the text and shown."""
    reasoning: str | msgspec.UnsetType = msgspec.UNSET
    """The same by another name, if the server is told to use it."""
    tool_calls: list[ChatFunctionCall | ChatCustomCall] | msgspec.UnsetType = msgspec.UNSET
    function_call: FunctionText | msgspec.UnsetType = msgspec.UNSET
    """A call, if the request had `functions`."""


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
    head: ResponseHead,
    choices: Sequence[Choice],
    usage: Usage,
    extras: Extras = NO_EXTRAS,
    style: ChatStyle = USUAL,
) -> bytes:
    """The body of an answer that is not streamed."""
    return msgspec.json.encode(
        ChatCompletion(
            id=head.id,
            object=OBJECT,
            created=head.created,
            model=head.model,
            choices=[_chat_choice(choice, style) for choice in choices],
            usage=usage_object(usage),
            system_fingerprint=head.system_fingerprint,
            service_tier=head.service_tier or msgspec.UNSET,
            timings=extras.timings or msgspec.UNSET,
            truncated=extras.truncated or msgspec.UNSET,
            prompt_token_ids=_prompt_of(choices),
        )
    )


def _chat_choice(choice: Choice, style: ChatStyle) -> ChatChoice:
    reason = style.finish_reason(choice.finish_reason)
    logprobs = chat_logprobs(choice.tokens)
    made = ChatChoice(choice.index, _message(choice, style), logprobs, reason)
    if choice.token_ids is not None:
        made.token_ids = choice.token_ids
    return made


def _message(choice: Choice, style: ChatStyle) -> ChatMessage:
    text = choice.text or None if choice.calls else choice.text
    message = ChatMessage("assistant", text, None)
    if choice.reasoning:
        for name in style.reasoning_names:
            setattr(message, name, choice.reasoning)
    if choice.calls and style.is_legacy:
        message.function_call = FunctionText(choice.calls[0].name, choice.calls[0].arguments)
    elif choice.calls:
        message.tool_calls = [_chat_call(call) for call in choice.calls]
    return message


def _chat_call(call: Call) -> ChatFunctionCall | ChatCustomCall:
    if call.kind == "custom":
        return ChatCustomCall(call.id, CustomText(call.name, call.arguments))
    return ChatFunctionCall(call.id, FunctionText(call.name, call.arguments))


def _prompt_of(choices: Sequence[Choice]) -> Sequence[int] | msgspec.UnsetType:
    """All choices of a conversation have the same one."""
    ids = choices[0].prompt_token_ids if choices else None
    return msgspec.UNSET if ids is None else ids


class ChatChunks(Chunks):
    """The JSON objects of one stream."""

    OBJECT = CHUNK_OBJECT
    TEXT_MEMBER, NO_TEXT = b'"delta":', b"{}"
    shape_logprobs = staticmethod(chat_logprobs)

    def __init__(
        self,
        head: ResponseHead,
        include_usage: bool,
        usage_so_far: Callable[[], Usage] | None = None,
        style: ChatStyle = USUAL,
    ) -> None:
        super().__init__(head, include_usage, usage_so_far)
        self._style = style
        self._custom: set[int] = set()
        """The choices whose last call is of a custom tool."""

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

    def reasoning(self, event: ReasoningDelta) -> bytes | None:
        """Of thinking that is not shown, only its ids, if they were asked for."""
        names = self._style.reasoning_names
        if not names:
            ids = event.token_ids
            return None if ids is None else self._more(event.index, self.NO_TEXT, (), ids)
        text = encode_text(event.text)
        delta = b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), text) for name in names)
        return self._more(event.index, delta, event.tokens, event.token_ids)

    def call_started(self, event: CallStarted) -> bytes:
        """The only chunk with the call's name and id, since clients join repeated ones."""
        name, call_id = encode_text(event.name), encode_text(event.call_id)
        is_custom = event.kind == "custom"
        (self._custom.add if is_custom else self._custom.discard)(event.index)
        if self._style.is_legacy:
            delta = b'{"function_call":{"name":%b,"arguments":""}}' % name
        elif is_custom:
            body = b'"id":%b,"type":"custom","custom":{"name":%b,"input":""}' % (call_id, name)
            delta = _calls_delta(event.number, body)
        else:
            shape = b'"id":%b,"type":"function","function":{"name":%b,"arguments":""}'
            delta = _calls_delta(event.number, shape % (call_id, name))
        return self._more(event.index, delta, event.tokens, event.token_ids)

    def call_delta(self, event: CallDelta) -> bytes:
        """More arguments of the choice's last call."""
        text = encode_text(event.text)
        if self._style.is_legacy:
            delta = b'{"function_call":{"arguments":%b}}' % text
        elif event.index in self._custom:
            delta = _calls_delta(event.number, b'"custom":{"input":%b}' % text)
        else:
            delta = _calls_delta(event.number, b'"function":{"arguments":%b}' % text)
        return self._more(event.index, delta, event.tokens, event.token_ids)

    def finish(
        self,
        index: int,
        finish_reason: str,
        token_ids: Sequence[int] | None = None,
        extras: Extras = NO_EXTRAS,
    ) -> bytes:
        """The last chunk of one choice: no text."""
        return super().finish(index, self._style.finish_reason(finish_reason), token_ids, extras)


def _calls_delta(number: int, body: bytes) -> bytes:
    return b'{"tool_calls":[{"index":%d,%b}]}' % (number, body)
