from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cria.api.completions import CompletionRequest
from cria.api.decoding import decode
from cria.api.embeddings import EmbeddingRequest
from cria.api.request_settings import RequestSettings
from cria.api.setting_values import WrongSetting
from cria.config import ModelSettings
from cria.errors import ContextLengthExceeded, RequestError
from tests.api.test_field_paths import chat


def completion(**fields: Any) -> CompletionRequest:
    body = {"model": "m", "prompt": "Hi", **fields}
    return decode(msgspec.json.encode(body), CompletionRequest)[0]


def test_without_settings_nothing_changes() -> None:
    request, same = chat(temperature=0.3), chat(temperature=0.3)
    RequestSettings(ModelSettings()).apply(request)
    assert request == same and request.settled.overruled == ()


def test_one_table_for_all_kinds_of_requests() -> None:
    settings = RequestSettings(
        ModelSettings(defaults={"temperature": 0.1, "dimensions": 8}, forced={"seed": 1})
    )
    talk, text = chat(), completion(temperature=0.9)
    vectors = EmbeddingRequest(model="m", input="a")
    for request in (talk, text, vectors):
        settings.apply(request)
    assert (talk.temperature, talk.seed) == (0.1, 1)
    assert (text.temperature, text.seed) == (0.9, 1)
    assert vectors.dimensions == 8


def test_the_system_prompt_is_for_conversations_without_one() -> None:
    settings = RequestSettings(ModelSettings(system_prompt="Be brief."))
    bare = chat()
    settings.apply(bare)
    assert bare.template_messages()[0] == {"role": "system", "content": "Be brief."}
    for role in ("system", "developer"):
        own = chat(messages=[{"role": role, "content": "Mine."}, {"role": "user", "content": "x"}])
        settings.apply(own)
        assert [m["content"] for m in own.template_messages()] == ["Mine.", "x"]


def test_limits() -> None:
    settings = RequestSettings(ModelSettings(max_tokens=10, max_prompt_tokens=3, max_choices=2))
    request = completion(max_tokens=99)
    settings.apply(request)
    assert request.token_limit() == 10 and request.settled.overruled == ("max_tokens",)
    settings.check_prompt(3, "prompt")
    with pytest.raises(ContextLengthExceeded, match="maximum prompt length is 3"):
        settings.check_prompt(4, "prompt")
    for fields, param in ({"n": 3}, "n"), ({"prompt": ["a"] * 3}, "prompt"):
        with pytest.raises(RequestError) as caught:
            settings.apply(completion(**fields))
        assert caught.value.param == param


@pytest.mark.parametrize("table", ["defaults", "forced"])
def test_values_that_exclude_each_other_are_the_operators_mistake(table: str) -> None:
    with pytest.raises(WrongSetting) as caught:
        RequestSettings(ModelSettings(**{table: {"max_tokens": 3, "min_tokens": 5}}))
    assert caught.value.table == table


def test_what_a_chat_is_that_says_nothing() -> None:
    bare = RequestSettings(ModelSettings(defaults={"temperature": 0.25})).bare_chat()
    assert bare.sampling_params().temperature == 0.25
