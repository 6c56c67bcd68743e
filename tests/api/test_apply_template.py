from __future__ import annotations

import json

import pytest

from cria.api.apply_template import ApplyTemplateRequest
from cria.api.decoding import decode
from cria.errors import RequestError
from tests.api.requests import USER


def apply(**fields: object) -> ApplyTemplateRequest:
    return decode(json.dumps({"messages": [USER], **fields}).encode(), ApplyTemplateRequest)[0]


def test_only_the_messages_are_needed() -> None:
    request = apply()
    assert request.model is None and request.opens_answer
    assert request.template_messages() == [USER]


def test_the_prompt_may_stay_closed_and_the_rest_is_a_chat_request() -> None:
    request = apply(add_generation_prompt=False, temperature=0, model="m")
    assert not request.opens_answer
    with pytest.raises(RequestError) as caught:
        apply(chat_template="x")
    assert caught.value.param == "chat_template"
