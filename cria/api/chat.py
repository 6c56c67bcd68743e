"""`POST /v1/chat/completions`: the request. Its answers are in `chat_answer`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from cria.api.conversation import (
    as_template_messages,
    can_be_continued,
    check_calls,
    check_strictly,
    has_instructions,
    hints,
)
from cria.api.generation_request import NumTopLogprobs, TokenLimit, check_token_limit
from cria.api.messages import Message, TextPart, media_refusal
from cria.api.overflow import check_chat_overflow
from cria.api.reasoning import ReasoningFields
from cria.api.unsupported import OTHER_SERVERS, Refusal
from cria.errors import RequestError

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


class ChatCompletionRequest(ReasoningFields, kw_only=True):
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
    # Variables of the chat template, if it has them.
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
        check_calls(self.messages)
        self._check_continuation()

    def _check_continuation(self) -> None:
        name = "continue_final_message"
        if self.continue_final_message and self.add_generation_prompt:
            problem = "it excludes 'add_generation_prompt': true"
        elif self.continue_final_message and not can_be_continued(self.messages[-1]):
            problem = "the last message has to be the assistant's, without tool calls"
        elif self.continues_last and self.tool_plan.is_required:
            name = name if self.continue_final_message else self.choice_field
            problem = "an answer that goes on with the last message is no call"
        else:
            return
        raise RequestError(f"Invalid '{name}': {problem}.", param=name, code="invalid_value")

    @classmethod
    def explain(cls, fields: dict[str, Any]) -> RequestError | None:
        return media_refusal(fields.get("messages"))

    def check_strictly(self) -> None:
        super().check_strictly()
        check_strictly(self.messages)

    def without_effect(self) -> Iterator[str]:
        yield from super().without_effect()
        if self.max_completion_tokens is not None and self.max_tokens != -1:
            yield "max_tokens"
        yield from hints(self.messages)

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
        """The conversation as a chat template reads it, with the operator's words in front."""
        said = as_template_messages(self.messages)
        if self.system_prompt is None or has_instructions(self.messages):
            return said
        return [{"role": "system", "content": self.system_prompt}, *said]

    @property
    def system_prompt(self) -> str | None:
        """The operator's, for conversations that have none of their own."""
        prompt: str | None = self.__dict__.get("system_prompt")
        return prompt

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
        kwargs = self.budget_kwargs()
        for given in self._template_options().values():
            kwargs |= given
        return kwargs

    def unused_options(self, variables: frozenset[str]) -> tuple[str, ...]:
        """Paths of the fields that a template with these variables does not look at."""
        options = self._template_options().items()
        return tuple(path for path, given in options if variables.isdisjoint(given))

    def _template_options(self) -> dict[str, dict[str, Any]]:
        """The variables by the field that sets them; later ones win."""
        options = {
            "verbosity": {} if self.verbosity is None else {"verbosity": self.verbosity},
            **self.reasoning_options(),
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
