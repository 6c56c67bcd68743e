from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.chat import ChatCompletionRequest
from cria.api.completions import CompletionRequest
from cria.api.embeddings import EmbeddingRequest
from cria.api.setting_values import KINDS, WrongSetting, settable, suggestion, typed_values


def test_values_are_of_the_fields_types() -> None:
    fields = {"temperature": 0, "stop": "x", "chat_template_kwargs": {"a": True}}
    values = typed_values(ChatCompletionRequest, "defaults", fields)
    assert values["temperature"] == 0.0 and values["chat_template_kwargs.a"] is True


def test_each_kind_takes_what_it_has() -> None:
    fields = {"dimensions": 8, "reasoning_effort": "low"}
    assert typed_values(EmbeddingRequest, "defaults", fields) == {"dimensions": 8}
    assert typed_values(CompletionRequest, "defaults", fields) == {}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"temperatur": 1}, "did you mean temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("inf")}, "no number"),
        ({"messages": []}, "for each request to say"),
        ({"stream": True}, "for each request to say"),
        ({"stop": b"x"}, "bytes"),
        ({"reasoning": {"efort": "low"}}, "efort"),
    ],
)
def test_mistakes_name_table_and_field(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(WrongSetting, match=reason) as caught:
        for kind in KINDS:
            typed_values(kind, "forced", fields)
    assert (caught.value.table, caught.value.name) == ("forced", next(iter(fields)))


def test_depth_has_an_end() -> None:
    value: Any = 1
    for _ in range(100):
        value = [value]
    with pytest.raises(WrongSetting, match="nested"):
        typed_values(ChatCompletionRequest, "forced", {"chat_template_kwargs": value})


def test_what_is_asked_is_nobodys_to_set() -> None:
    assert not {"model", "messages", "stream", "tools"} & settable(ChatCompletionRequest)
    assert {"temperature", "max_tokens", "seed"} <= settable(ChatCompletionRequest)


def test_a_near_name_is_suggested() -> None:
    assert suggestion("top-p", frozenset({"top_p", "top_k"})) == "; did you mean top_p?"
    assert suggestion("zzzzzz", frozenset({"top_p"})) == "."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
NAMES = st.sampled_from(sorted(settable(ChatCompletionRequest))) | st.text(max_size=10)


@given(st.dictionaries(NAMES, JSON, max_size=3))
def test_any_table_is_taken_or_refused(fields: dict[str, Any]) -> None:
    for kind in KINDS:
        try:
            typed_values(kind, "defaults", fields)
        except WrongSetting as error:
            assert error.name in fields
