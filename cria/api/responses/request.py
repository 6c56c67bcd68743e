"""`POST /v1/responses`: the request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from cria.api.generation_request import (
    GenerationRequest,
    NumTopLogprobs,
    ServiceTier,
    TokenLimit,
    check_token_limit,
)
from cria.api.responses.input_items import InputItem, media_refusal, unread_paths, with_types
from cria.api.responses.paths import own_words
from cria.api.responses.text_fields import ReasoningConfig, TextConfig
from cria.api.responses.tool_fields import (
    FlatChoice,
    FlatTool,
    tools_without_effect,
    without_versions,
)
from cria.api.sampling_fields import MAX_INT32
from cria.api.unsupported import OTHER_SERVERS, Refusal
from cria.errors import RequestError

ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
INCLUDED = frozenset({ENCRYPTED, LOGPROBS})
"""What `include` can ask for; the rest is about tools that nobody runs here."""

Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]
_IN_CHATS = "/v1/chat/completions has it"


class BackgroundOptions(msgspec.Struct):
    """How long a run in the background may wait; here none waits for long."""

    completion_window: Literal["soonest"] | None = None


class CacheOptions(msgspec.Struct):
    """How long to keep a prompt; here it is kept until others need its place."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: str | None = None
    comparison_response_id: str | None = None
    prewarm: bool | None = None


class ResponsesRequest(GenerationRequest, kw_only=True):
    """Answer in a conversation whose beginning may be kept by the server."""

    UNSUPPORTED: ClassVar[Mapping[str, Refusal]] = {
        **OTHER_SERVERS,
        "lora": Refusal(reason="name the model as 'model:adapter' instead"),
        "max_tokens": Refusal(reason="it is 'max_output_tokens' here"),
        "max_completion_tokens": Refusal(reason="it is 'max_output_tokens' here"),
        "messages": Refusal(reason="it is 'input' here"),
        "response_format": Refusal(reason="it is 'text.format' here"),
        "reasoning_effort": Refusal(reason="it is 'reasoning.effort' here"),
        "verbosity": Refusal(reason="it is 'text.verbosity' here"),
        "functions": Refusal(reason="it is 'tools' here"),
        "function_call": Refusal(reason="it is 'tool_choice' here"),
        "n": Refusal((1,), reason="a response is one answer"),
        "best_of": Refusal((1,), reason="/v1/completions has it"),
        "logit_bias": Refusal(reason=_IN_CHATS),
        "logprobs": Refusal((False,), reason=f"it is 'include': ['{LOGPROBS}'] here"),
        "timings": Refusal((False,), reason=_IN_CHATS),
        "return_token_ids": Refusal((False,), reason=_IN_CHATS),
        "conversation": Refusal(
            reason="this server has none; 'previous_response_id' goes on from a response"
        ),
        "prompt": Refusal(reason="this server keeps no prompts"),
        "moderation": Refusal(reason="this server has no moderation"),
        "context_management": Refusal(reason="'truncation': 'auto' drops the oldest messages"),
        "mcp_servers": Refusal(reason="this server runs no tools of its own"),
        "container": Refusal(reason="this server runs no tools of its own"),
        "modalities": Refusal((["text"],), "unsupported_value", "the model writes text only"),
    }
    NOTED: ClassVar[frozenset[str]] = frozenset(
        "user safety_identifier prompt_cache_key prompt_cache_retention prompt_cache_options "
        "max_tool_calls background_options access_programs image".split()
    )

    input: str | list[InputItem] = []
    """A text, or the items of a conversation."""
    instructions: str | None = None
    """What the model shall heed in this answer."""
    previous_response_id: str | None = None
    """The stored response that this one goes on from."""
    store: bool | None = None
    """Keep the answer, and what it answers; true if there is a store."""
    background: bool = False
    """Answer at once, and go on in the background."""
    max_output_tokens: TokenLimit | None = None
    """Thinking included."""
    top_logprobs: NumTopLogprobs | None = None
    """How many likely tokens to show, if `include` asks for log probabilities."""
    tools: list[FlatTool] = []
    """What the model may call."""
    tool_choice: FlatChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig = msgspec.field(default_factory=TextConfig)
    """The form of the text."""
    reasoning: ReasoningConfig = msgspec.field(default_factory=ReasoningConfig)
    """How much to think, and how to tell it."""
    include: Annotated[list[str], Meta(max_length=64)] = []
    """What more the answer holds: log probabilities, thinking to be given back."""
    truncation: Literal["auto", "disabled"] | None = None
    """`auto` drops the oldest messages of a conversation that is too long."""
    metadata: Metadata | None = None
    service_tier: ServiceTier | Literal["ultrafast"] | None = None  # type: ignore[assignment]
    chat_template_kwargs: dict[str, str | int | float | bool | None] = {}
    """Variables of the chat template, such as `enable_thinking`."""
    reasoning_budget: Annotated[int, Meta(ge=-1, le=MAX_INT32)] | None = None
    """Tokens that the model may think; -1 is no limit, 0 no thinking."""
    # The rest is checked and noted.
    max_tool_calls: Annotated[int, Meta(ge=1, le=MAX_INT32)] | None = None
    background_options: BackgroundOptions | None = None
    safety_identifier: Annotated[str, Meta(max_length=128)] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    prompt_cache_options: CacheOptions | None = None
    access_programs: dict[str, Any] | list[Any] | None = None
    image: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        with own_words():
            super().__post_init__()
        check_token_limit("max_output_tokens", self.max_output_tokens)
        self._check_input()
        self._check_truncation()

    @classmethod
    def prepared(cls, fields: dict[str, Any]) -> dict[str, Any]:
        forms = {"input": with_types, "tools": without_versions}
        return fields | {name: form(fields[name]) for name, form in forms.items() if name in fields}

    @classmethod
    def explain(cls, fields: dict[str, Any]) -> RequestError | None:
        return media_refusal(fields.get("input"))

    @property
    def items(self) -> list[InputItem]:
        """The input, if it is no text."""
        return [] if isinstance(self.input, str) else self.input

    @property
    def shows_logprobs(self) -> bool:
        return LOGPROBS in self.include

    def token_limit(self) -> int:
        return -1 if self.max_output_tokens is None else self.max_output_tokens

    def without_effect(self) -> Iterator[str]:
        yield from super().without_effect()
        if self.streams and self.include_usage:
            yield "stream_options.include_usage"
        if self.top_logprobs is not None and not self.shows_logprobs:
            yield "top_logprobs"
        for index, wish in enumerate(self.include):
            if wish not in INCLUDED:
                yield f"include[{index}]"
        for name in ("context", "mode"):
            if getattr(self.reasoning, name) is not None:
                yield f"reasoning.{name}"
        yield from tools_without_effect(self.tools)
        yield from unread_paths(self.items)

    def _check_input(self) -> None:
        if not self.input and self.previous_response_id is None:
            raise RequestError(
                "Missing required parameter: 'input'. It may be empty only with "
                "'previous_response_id'.",
                param="input",
                code="missing_required_parameter",
            )

    def _check_truncation(self) -> None:
        policy = self.context_overflow
        if self.truncation == "auto" and policy not in ("error", "truncate_left"):
            raise RequestError(
                f"Invalid 'context_overflow': '{policy}' contradicts 'truncation': 'auto'. Send "
                "one of them.",
                param="context_overflow",
                code="invalid_value",
            )


class InputTokensRequest(ResponsesRequest, kw_only=True):
    """The same, only to be counted; without a model it is the one that is served."""

    model: str | None = None  # type: ignore[assignment]
