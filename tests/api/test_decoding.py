from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cria.api.chat import ChatCompletionRequest
from cria.api.completions import CompletionRequest
from cria.api.decoding import MAX_WARNINGS, RequestBody, decode
from cria.api.fim import FimRequest
from cria.errors import RequestError
from tests.api.requests import JSON_VALUES, USER, decode_chat, decode_completion

KINDS = (ChatCompletionRequest, CompletionRequest, FimRequest)
OPTIONAL_CHAT_FIELDS = sorted(
    {*ChatCompletionRequest.__struct_encode_fields__, *ChatCompletionRequest.UNSUPPORTED}
    - {"model", "messages"}
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"x"',
        b"null",
        b"{",
        b'{"model":"m"}x',
        b'{"model":"m",}',
        b'{"model":"\xff"}',
        b'{"unknown":"\xff"}',
        b'{"model":"\\ud800 "}',
        b'{"unknown":NaN}',
        b'{"unknown":Infinity}',
        b'{"unknown":1e999}',
        b'{"unknown":-1e999}',
        b'{"unknown":' + b"9" * 5000 + b"}",
        '{"model":"m"}'.encode("utf-16"),
        b'{"a":' * 100_000,
        b"[" * 1_000_000,
        b'{"unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_json_object_is_refused_soon(body: bytes) -> None:
    start = time.perf_counter()
    with pytest.raises(RequestError) as caught:
        decode(body, ChatCompletionRequest)
    assert time.perf_counter() - start < 0.5
    assert caught.value.param is None
    assert caught.value.code in ("invalid_json", "json_too_deep")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "it is empty"),
        (b'{"a":\n  ?}', "(line 2, column 3)"),
        (b'{"a": 1', "ends early (line 1, column 8)"),
        (b'{"a": "\xff"}', "no UTF-8 (line 1, column 8)"),
        (b'\xef\xbb\xbf{"a": ?}', "(line 1, column 7)"),
        (b'{"model":"\\ud800"}', "half of a surrogate pair"),
    ],
)
def test_the_error_says_where(body: bytes, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode(body, ChatCompletionRequest)
    assert words in str(caught.value)


def test_a_deep_schema_is_taken_and_a_deep_message_is_not() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(50):
        schema = {"type": "object", "properties": {"a": schema}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    decode_chat(response_format=form)
    with pytest.raises(RequestError) as caught:
        decode_chat(unknown=schema)
    assert (caught.value.param, caught.value.code) == ("unknown", "json_too_deep")


def test_a_byte_order_mark_is_skipped() -> None:
    request, _ = decode(b'\xef\xbb\xbf{"model":"m","prompt":"x"}', CompletionRequest)
    assert request.prompt_list() == ["x"]


def test_text_arrives_unchanged() -> None:
    text = "NUL \0, line \u2028, noncharacter \ufffe, \U0001f642 as a pair"
    assert decode_completion(prompt=text)[0].prompt_list() == [text]


def test_a_duplicate_key_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        decode(b'{"model":"m","prompt":"x","n":1,"n":2}', CompletionRequest)
    assert (caught.value.param, caught.value.code) == ("n", "invalid_json")


def test_null_is_absent_everywhere() -> None:
    request, warnings = decode_chat(**dict.fromkeys(OPTIONAL_CHAT_FIELDS), unknown=None)
    assert request == decode_chat()[0]
    assert warnings == ()


def test_nulls_inside_a_replayed_answer_are_absent_too() -> None:
    replayed = {"role": "assistant", "content": "x", "refusal": None, "audio": None}
    replayed |= {"annotations": None, "function_call": None, "tool_calls": None}
    assert decode_chat(messages=[USER, replayed])[1] == ()


@pytest.mark.parametrize(("text", "value"), [("2.0", 2), ("2e0", 2), ("20e-1", 2)])
def test_an_integer_may_be_written_as_a_float(text: str, value: int) -> None:
    request, _ = decode(b'{"model":"m","prompt":"x","n":%b}' % text.encode(), CompletionRequest)
    assert request.n == value


def test_tiny_and_negative_zero_are_zero() -> None:
    body = b'{"model":"m","prompt":"x","temperature":-0.0,"top_p":1e-400}'
    request, _ = decode(body, CompletionRequest)
    assert (request.temperature, request.top_p) == (0.0, 0.0)


def test_unknown_fields_are_reported_at_their_paths() -> None:
    part = {"type": "text", "text": "x", "annotations": [1]}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}", "x": 1}}
    _, warnings = decode_chat(
        messages=[
            {"role": "user", "content": [part]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
        ],
        stream=True,
        stream_options={"include_usage": True, "chunk_size": 1},
        extra=1,
    )
    assert set(warnings) == {
        "messages[0].content[0].annotations",
        "messages[1].tool_calls[0].function.x",
        "stream_options.chunk_size",
        "extra",
    }


def test_fields_without_effect_are_reported() -> None:
    assert decode_completion(user="u")[1] == ("user",)
    noted = {"user": "u", "metadata": {"a": "b"}}
    assert set(decode_chat(**noted)[1]) == set(noted)


def test_unsupported_fields_that_ask_for_nothing_are_not_reported() -> None:
    assert decode_chat(top_a=0, tfs_z=1, tools=[], logprobs=False)[1] == ()


def test_hints_on_messages_and_parts_are_reported() -> None:
    hint = {"cache_control": {"type": "ephemeral"}}
    part = {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}
    refusal = {"type": "refusal", "refusal": "x", **hint}
    request, warnings = decode_chat(
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "x"}, part]},
            {"role": "assistant", "content": [refusal]},
            {**USER, **hint},
        ]
    )
    assert warnings == tuple(request.without_effect())
    assert warnings == (
        "messages[0].content[1].prompt_cache_breakpoint",
        "messages[1].content[0].cache_control",
        "messages[2].cache_control",
    )


def test_warnings_fit_into_a_header() -> None:
    body: dict[str, Any] = {"a,\r\nset-cookie: é" + "x" * 1000: 1}
    _, warnings = decode_chat(**body)
    assert warnings[0].startswith("a???set-cookie???x")
    assert len(warnings[0]) == 100
    many = decode_chat(**{f"field{i}": 1 for i in range(1000)})[1]
    assert len(many) == MAX_WARNINGS
    hinted = decode_chat(messages=[USER | {"cache_control": {}}] * 1000)[1]
    assert len(hinted) == MAX_WARNINGS


def test_a_million_of_anything_takes_little_time() -> None:
    start = time.perf_counter()
    decode_chat(messages=[USER | {"x": 1}] * 20_000)
    decode_chat(**{f"field{i}": 1 for i in range(50_000)})
    decode_completion(prompt=[1] * 300_000)
    assert time.perf_counter() - start < 5


FIELD_NAMES = sorted(
    {"unknown", "model", "messages", "prompt", *OPTIONAL_CHAT_FIELDS, "best_of", "suffix"}
)


@settings(deadline=None)  # the first call builds msgspec's decoders
@given(st.dictionaries(st.sampled_from(FIELD_NAMES), JSON_VALUES, max_size=4))
def test_any_fields_decode_or_are_refused(fields: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [USER], "prompt": "x"} | fields
    for kind in KINDS:
        with suppress(RequestError):
            request, warnings = decode(json.dumps(body).encode(), kind)
            request.sampling_params()
            assert all(isinstance(path, str) for path in warnings)


@settings(deadline=None)  # the first call builds msgspec's decoders
@given(st.lists(JSON_VALUES | st.fixed_dictionaries({"role": st.just("assistant")}), max_size=3))
def test_any_messages_decode_or_are_refused(messages: list[Any]) -> None:
    with suppress(RequestError):
        request, _ = decode_chat(messages=messages)
        assert len(request.template_messages()) == len(messages)
        request.check_strictly()


def test_a_request_without_tables_has_no_warnings() -> None:
    assert decode(b"{}", RequestBody) == (RequestBody(), ())


@given(st.binary(max_size=40))
def test_any_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        decode(body, ChatCompletionRequest)


def test_fields_may_come_in_other_forms() -> None:
    class Prepared(RequestBody, kw_only=True):
        x: list[int]

        @classmethod
        def prepared(cls, fields: dict[str, Any]) -> dict[str, Any]:
            return {**fields, "x": [fields["x"]]}

    request, warnings = decode(b'{"x": 5, "y": 1}', Prepared)
    assert (request.x, warnings) == ([5], ("y",))
