from __future__ import annotations

from typing import Any

import pytest

from cria.api.unsupported import OTHER_SERVERS
from tests.api.requests import decode_chat, decode_completion, refused_chat, refused_completion


@pytest.mark.parametrize("name", OTHER_SERVERS)
def test_what_other_servers_know_is_refused_by_name(name: str) -> None:
    for error in (refused_chat(**{name: "something"}), refused_completion(**{name: "something"})):
        assert (error.param, error.code) == (name, "unsupported_parameter")
        assert f"'{name}'" in str(error)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"modalities": ["text", "audio"]}, "unsupported_value"),
        ({"modalities": ["audio"], "audio": {"format": "wav"}}, "unsupported_value"),
        ({"echo": True}, "unsupported_parameter"),
        ({"store": True}, "unsupported_parameter"),
        ({"web_search_options": {"search_context_size": "low"}}, "unsupported_parameter"),
        ({"web_search_options": {}}, "unsupported_parameter"),
        ({"moderation": {"model": "m"}}, "unsupported_parameter"),
        ({"use_beam_search": True}, "unsupported_parameter"),
    ],
)
def test_chat_refuses_what_it_cannot_do(fields: dict[str, Any], code: str | None) -> None:
    error = refused_chat(**fields)
    assert (error.param, error.code) == (next(iter(fields)), code)


@pytest.mark.parametrize("fields", [{"max_completion_tokens": 3}])
def test_completions_refuse_what_they_cannot_do(fields: dict[str, Any]) -> None:
    error = refused_completion(**fields)
    assert (error.param, error.code) == (next(iter(fields)), "unsupported_parameter")


def test_values_that_ask_for_nothing_pass() -> None:
    decode_completion(suffix=None, echo=False, logprobs=None, top_a=0, tfs_z=1.0)
    decode_chat(tools=[], tool_choice="none", functions=None, function_call="none", audio=None)
    decode_chat(response_format={"type": "text"}, logprobs=False, modalities=["text"], store=False)
    decode_chat(grammar="", bad_words=[], length_penalty=1, structured_outputs={})
