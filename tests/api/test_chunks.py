from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.chat_answer import ChatChunks
from cria.api.chunks import Chunks, encode_text
from cria.api.completions import CompletionChunks
from cria.api.events import CallDelta, CallStarted, ReasoningDelta
from cria.api.extras import Extras, Truncated
from cria.api.head import ResponseHead
from cria.api.usage import Usage

ODD_HEAD = ResponseHead('id"%s', 1, "org/%d {model}\n", "fp\\")
KINDS = (ChatChunks, CompletionChunks)


@given(st.text('ab"%é日🙂\x00\x85\u2028\u2029\r\n\x0b\x0c\x1c\\u/', max_size=12))
def test_text_becomes_one_line_of_json(text: str) -> None:
    data = encode_text(text)
    assert json.loads(data) == text
    assert len(data.decode().splitlines()) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_usage_is_null_until_the_last_chunk(kind: type[Chunks]) -> None:
    chunks = kind(ODD_HEAD, include_usage=True)
    assert isinstance(chunks, KINDS)
    for chunk in (chunks.delta(0, "x"), chunks.finish(0, "stop")):
        assert json.loads(chunk)["usage"] is None
    last = json.loads(chunks.usage(Usage(1, 2)))
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 3


@pytest.mark.parametrize("kind", KINDS)
def test_every_chunk_can_have_the_usage_so_far(kind: type[Chunks]) -> None:
    counts = iter(range(1, 9))
    chunks = kind(ODD_HEAD, True, lambda: Usage(5, next(counts)))
    assert isinstance(chunks, KINDS)
    for count, chunk in enumerate((chunks.delta(0, "x"), chunks.finish(0, "stop")), start=1):
        assert json.loads(chunk)["usage"]["completion_tokens"] == count
    assert json.loads(chunks.usage(Usage(5, 2)))["usage"]["total_tokens"] == 7


@pytest.mark.parametrize("kind", KINDS)
def test_any_head_is_escaped_and_shared_by_all_chunks(kind: type[Chunks]) -> None:
    chunks = kind(ODD_HEAD, include_usage=False)
    assert isinstance(chunks, KINDS)
    for data in (chunks.delta(0, "%s"), chunks.finish(0, "stop"), chunks.usage(Usage(1, 2))):
        chunk = json.loads(data)
        assert (chunk["id"], chunk["created"]) == (ODD_HEAD.id, 1)
        assert (chunk["model"], chunk["system_fingerprint"]) == (ODD_HEAD.model, "fp\\")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tier", ["default", "priority", None])
def test_every_chunk_names_the_tier_if_the_request_did(
    kind: type[Chunks], tier: str | None
) -> None:
    chunks = kind(msgspec.structs.replace(ODD_HEAD, service_tier=tier), include_usage=True)
    assert isinstance(chunks, KINDS)
    stream = [chunks.start(0), chunks.delta(0, "x"), chunks.finish(0, "stop")]
    for data in [*filter(None, stream), chunks.usage(Usage(1, 2))]:
        chunk = json.loads(data)
        assert chunk.get("service_tier") == tier
        assert ("service_tier" in chunk) == (tier is not None)


EXTRAS = Extras(truncated=Truncated("shift", 3, 3, shifts=1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("include_usage", [False, True])
def test_extras_are_members_of_the_last_chunks(kind: type[Chunks], include_usage: bool) -> None:
    chunks = kind(ODD_HEAD, include_usage)
    assert isinstance(chunks, KINDS)
    finish = json.loads(chunks.finish(0, "stop", None, EXTRAS))
    assert finish["truncated"]["shifts"] == 1
    assert ("usage" in finish) is include_usage
    assert json.loads(chunks.usage(Usage(1, 2), EXTRAS))["truncated"]["shifts"] == 1
    assert "truncated" not in json.loads(chunks.finish(0, "stop"))


@pytest.mark.parametrize("kind", KINDS)
def test_token_ids_are_members_of_the_choice(kind: type[Chunks]) -> None:
    chunks = kind(ODD_HEAD, include_usage=True)
    assert isinstance(chunks, KINDS)
    for data in (chunks.delta(0, "x", token_ids=(5, 6)), chunks.finish(0, "stop", (5, 6))):
        assert json.loads(data)["choices"][0]["token_ids"] == [5, 6]
    for data in (chunks.delta(0, "x"), chunks.finish(0, "stop")):
        assert "token_ids" not in json.loads(data)["choices"][0]


def test_completions_have_text_alone() -> None:
    chunks = CompletionChunks(ODD_HEAD, False)
    assert chunks.reasoning(ReasoningDelta(0, "x")) is None
    assert chunks.call_started(CallStarted(0, 0, "c", "f")) is None
    assert chunks.call_delta(CallDelta(0, 0, "{}")) is None
