"""`POST /apply-template`: the prompt that a conversation becomes."""

from __future__ import annotations

import msgspec

from cria.api.chat import ChatCompletionRequest


class ApplyTemplateRequest(ChatCompletionRequest, kw_only=True):
    """A chat request, of which only the conversation matters."""

    model: str | None = None  # type: ignore[assignment]  # wider: nothing is generated


class TemplateAnswer(msgspec.Struct):
    """The text as the model would read it."""

    prompt: str
