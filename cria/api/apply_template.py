"""`POST /apply-template`: the prompt that a conversation becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from cria.api.chat import ChatCompletionRequest
from cria.api.unsupported import Refusal


class ApplyTemplateRequest(ChatCompletionRequest, kw_only=True):
    """A chat request, of which only the conversation matters."""

    UNSUPPORTED: ClassVar[Mapping[str, Refusal]] = {
        name: refusal
        for name, refusal in ChatCompletionRequest.UNSUPPORTED.items()
        if name != "add_generation_prompt"
    }

    model: str | None = None  # type: ignore[assignment]  # wider: nothing is generated
    add_generation_prompt: bool = True


class TemplateAnswer(msgspec.Struct):
    """The text as the model would read it."""

    prompt: str
