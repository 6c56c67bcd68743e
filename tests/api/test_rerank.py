from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.decoding import decode
from cria.api.rerank import RerankRequest, encode_ranking
from cria.errors import RequestError


def decoded(**fields: object) -> tuple[RerankRequest, tuple[str, ...]]:
    body = {"model": "m", "query": "q", "documents": ["a", "b", "c"], **fields}
    return decode(json.dumps(body).encode(), RerankRequest)


def ranking(**fields: object) -> dict[str, object]:
    request = decoded(**fields)[0]
    answer: dict[str, object] = json.loads(encode_ranking("m", request, [0.5, 2.0, -1.5], 9))
    return answer


def test_documents_are_texts_or_objects() -> None:
    request, warnings = decoded(documents=["a", {"text": "b", "title": "t"}])
    assert request.texts() == ["a", "b"]
    assert warnings == ("documents[1].title",)


def test_the_best_document_comes_first() -> None:
    assert ranking() == {
        "object": "list",
        "model": "m",
        "results": [
            {"index": 1, "relevance_score": 2.0},
            {"index": 0, "relevance_score": 0.5},
            {"index": 2, "relevance_score": -1.5},
        ],
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    }


def test_as_many_as_asked_for_and_with_their_texts() -> None:
    assert ranking(top_n=1, return_documents=True)["results"] == [
        {"index": 1, "relevance_score": 2.0, "document": {"text": "b"}}
    ]
    assert len(ranking(top_n=100)["results"]) == 3  # type: ignore[arg-type]


def test_among_equals_the_first_one_wins() -> None:
    request = decoded()[0]
    results = json.loads(encode_ranking("m", request, [1.0, 2.0, 2.0], 9))["results"]
    assert [result["index"] for result in results] == [1, 2, 0]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"query": ""}, "query", "empty_string"),
        ({"query": None}, "query", "invalid_type"),
        ({"documents": []}, "documents", "empty_array"),
        ({"documents": ["a", ""]}, "documents[1]", "empty_string"),
        ({"documents": [{"text": ""}]}, "documents[0].text", "empty_string"),
        ({"documents": [{}]}, "documents[0].text", "missing_required_parameter"),
        ({"documents": [5]}, "documents[0]", "invalid_type"),
        ({"documents": "a"}, "documents", "invalid_type"),
        ({"documents": ["a"] * 2049}, "documents", "array_above_max_length"),
        ({"top_n": 0}, "top_n", "integer_below_min_value"),
        ({"return_documents": 1}, "return_documents", "invalid_type"),
        ({"rank_fields": ["title"]}, "rank_fields", "unsupported_parameter"),
        ({"max_tokens_per_doc": 4}, "max_tokens_per_doc", "unsupported_parameter"),
    ],
)
def test_other_requests_are_refused(fields: dict[str, object], param: str, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        decoded(**fields)
    assert (caught.value.param, caught.value.code) == (param, code)


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
        st.sampled_from(["query", "documents", "top_n", "return_documents", "user", "truncation"]),
        JSON,
    )
)
def test_any_values_are_taken_or_refused_by_name(fields: dict[str, object]) -> None:
    try:
        decoded(**fields)
    except RequestError as error:
        assert error.param is not None and error.param.partition("[")[0] in fields
