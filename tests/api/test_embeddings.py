from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.decoding import decode
from cria.api.embeddings import EmbeddingRequest, encode_embeddings
from cria.errors import RequestError


def decoded(**fields: object) -> tuple[EmbeddingRequest, tuple[str, ...]]:
    body = {"model": "m", "input": "a", **fields}
    return decode(json.dumps(body).encode(), EmbeddingRequest)


def refused(**fields: object) -> RequestError:
    with pytest.raises(RequestError) as caught:
        decoded(**fields)
    return caught.value


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        ([[1, 2], [3]], [[1, 2], [3]]),
        (["a"] * 2048, ["a"] * 2048),
        ([7] * 5000, [[7] * 5000]),
    ],
)
def test_inputs_are_texts_or_token_ids(given: object, inputs: list[Any]) -> None:
    assert decoded(input=given)[0].inputs() == inputs


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ("", "input", "empty_string"),
        ([], "input", "empty_array"),
        (["a", ""], "input[1]", "empty_string"),
        ([[]], "input[0]", "empty_array"),
        (["a", 1], "input", "invalid_type"),
        ([1, -1], "input[1]", "integer_below_min_value"),
        ([1, True], "input[1]", "invalid_type"),
        (5, "input", "invalid_type"),
        (None, "input", "invalid_type"),
        (["a"] * 2049, "input", "array_above_max_length"),
        ([[1]] * 2049, "input", "array_above_max_length"),
    ],
)
def test_other_inputs_are_refused(given: object, param: str, code: str) -> None:
    error = refused(input=given)
    assert (error.param, error.code) == (param, code)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"encoding_format": "int8"}, "encoding_format", "invalid_value"),
        ({"dimensions": 0}, "dimensions", "integer_below_min_value"),
        ({"dimensions": "8"}, "dimensions", "invalid_type"),
        ({"user": 5}, "user", "invalid_type"),
        ({"truncate_prompt_tokens": 5}, "truncate_prompt_tokens", "unsupported_parameter"),
        ({"truncate": "END"}, "truncate", "unsupported_parameter"),
        ({"normalize": False}, "normalize", "unsupported_parameter"),
        ({"input_type": "query"}, "input_type", "unsupported_parameter"),
    ],
)
def test_other_values_are_refused(fields: dict[str, object], param: str, code: str) -> None:
    error = refused(**fields)
    assert (error.param, error.code) == (param, code)


def test_what_asks_for_nothing_is_taken() -> None:
    request, warnings = decoded(
        dimensions=None, user="u", normalize=True, truncate="NONE", encoding_format=None, new=1
    )
    assert (request.dimensions, request.encoding_format) == (None, "float")
    assert warnings == ("user", "new")


VECTORS = np.array([[0.1, -0.2], [1, 0]], np.float32)


def test_the_answer_has_every_key() -> None:
    answer = json.loads(encode_embeddings("m", VECTORS, "float", 5))
    assert answer == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector.tolist()}
            for index, vector in enumerate(VECTORS)
        ],
        "model": "m",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }


def test_base64_holds_the_same_numbers() -> None:
    answer = json.loads(encode_embeddings("m", VECTORS, "base64", 5))
    data = [base64.b64decode(each["embedding"]) for each in answer["data"]]
    np.testing.assert_array_equal([np.frombuffer(each, "<f4") for each in data], VECTORS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**40) | st.floats(-2, 3) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "x"]), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["input", "encoding_format", "dimensions", "user", "truncate"]), JSON
    )
)
def test_any_values_are_taken_or_refused_by_name(fields: dict[str, object]) -> None:
    try:
        decoded(**fields)
    except RequestError as error:
        assert error.param is not None and error.param.partition("[")[0] in fields
