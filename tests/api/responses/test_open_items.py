"""Each kind of item begins, grows and ends in its own words, under one id."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from cria.api.logprobs import ScoredToken
from cria.api.responses.open_items import (
    OpenCall,
    OpenCustomCall,
    OpenItem,
    OpenMessage,
    OpenReasoning,
    OpenSummary,
)
from cria.api.responses.sealed import opened
from tests.api.responses.making import sent

TOKEN = ScoredToken(b"ab", True, -0.5, [(b"ab", -0.5)], 0)


def lived(item: OpenItem, *texts: str, status: Any = "completed") -> list[dict[str, Any]]:
    events = item.start()
    for text in texts:
        events += item.add(text)
    return sent([*events, *item.finish(status)])


def make(kind: type[OpenItem], **options: Any) -> OpenItem:
    if issubclass(kind, OpenCall):
        return kind(itertools.count(), 3, "call_1", "f", **options)
    if issubclass(kind, OpenReasoning):
        return kind(itertools.count(), 3, **{"is_sealed": False, **options})
    return kind(itertools.count(), 3)


@pytest.mark.parametrize(
    ("kind", "prefix", "names"),
    [
        (
            OpenMessage,
            "msg_",
            "output_item.added content_part.added output_text.delta output_text.delta "
            "output_text.done content_part.done output_item.done",
        ),
        (
            OpenReasoning,
            "rs_",
            "output_item.added content_part.added reasoning_text.delta reasoning_text.delta "
            "reasoning_text.done content_part.done output_item.done",
        ),
        (
            OpenSummary,
            "rs_",
            "output_item.added reasoning_summary_part.added reasoning_summary_text.delta "
            "reasoning_summary_text.delta reasoning_summary_text.done "
            "reasoning_summary_part.done output_item.done",
        ),
        (
            OpenCall,
            "fc_",
            "output_item.added function_call_arguments.delta function_call_arguments.delta "
            "function_call_arguments.done output_item.done",
        ),
        (
            OpenCustomCall,
            "ctc_",
            "output_item.added custom_tool_call_input.delta custom_tool_call_input.delta "
            "custom_tool_call_input.done output_item.done",
        ),
    ],
)
def test_the_order_of_events(kind: type[OpenItem], prefix: str, names: str) -> None:
    events = lived(make(kind), "a", "b")
    assert [event["type"] for event in events] == [f"response.{name}" for name in names.split()]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert {event["output_index"] for event in events} == {3}
    ids = {event.get("item_id") or event["item"]["id"] for event in events}
    assert len(ids) == 1 and ids.pop().startswith(prefix)
    assert events[0]["item"]["status"] == "in_progress"
    assert events[-1]["item"]["status"] == "completed"


def test_a_message_ends_with_all_of_its_text() -> None:
    events = lived(make(OpenMessage), "a", "b")
    part = {"type": "output_text", "text": "ab", "annotations": [], "logprobs": []}
    assert events[0]["item"]["content"] == []
    assert events[1]["part"] == {**part, "text": ""}
    assert events[-3]["text"] == "ab"
    assert events[-2]["part"] == part
    assert events[-1]["item"]["content"] == [part]
    assert events[-1]["item"]["role"] == "assistant"


def test_tokens_travel_with_the_text_that_they_make() -> None:
    item = OpenMessage(itertools.count(), 0)
    assert item.add("", [TOKEN]) == []
    (delta,) = sent(item.add("abab", [TOKEN]))
    assert [each["token"] for each in delta["logprobs"]] == ["ab", "ab"]
    (second,) = sent(item.add("x"))
    assert second["logprobs"] == []
    done, *_ = sent(item.finish("completed"))
    assert len(done["logprobs"]) == 2
    assert done["logprobs"][0] == {
        "token": "ab",
        "logprob": -0.5,
        "bytes": [97, 98],
        "top_logprobs": [{"token": "ab", "logprob": -0.5, "bytes": [97, 98]}],
    }


def test_thinking_is_text_or_a_summary() -> None:
    item = lived(make(OpenReasoning), "hm")[-1]["item"]
    assert item["summary"] == []
    assert item["content"] == [{"type": "reasoning_text", "text": "hm"}]
    assert "encrypted_content" not in item
    summary = lived(make(OpenSummary), "hm")[-1]["item"]
    assert summary["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert "content" not in summary


@pytest.mark.parametrize("kind", [OpenReasoning, OpenSummary])
def test_thinking_can_be_sealed(kind: type[OpenItem]) -> None:
    item = lived(make(kind, is_sealed=True), "hm", "!")[-1]["item"]
    assert opened(item["encrypted_content"]) == "hm!"


def test_a_summary_that_was_cut_says_so() -> None:
    *_, part, item = lived(make(OpenSummary), "hm", status="incomplete")
    assert (part["status"], item["item"]["status"]) == ("incomplete", "incomplete")


def test_calls_have_their_name_and_namespace() -> None:
    events = lived(make(OpenCall, namespace="n"), '{"a":', "1}")
    item = events[-1]["item"]
    assert (item["call_id"], item["name"], item["namespace"]) == ("call_1", "f", "n")
    assert item["arguments"] == events[-2]["arguments"] == '{"a":1}'
    assert events[0]["item"]["arguments"] == ""
    custom = lived(make(OpenCustomCall), "x", "y")[-1]["item"]
    assert (custom["type"], custom["input"]) == ("custom_tool_call", "xy")
    assert "namespace" not in custom


def test_items_read_back_are_the_same() -> None:
    from cria.api.responses.output_items import OutputItem

    for kind in (OpenMessage, OpenReasoning, OpenSummary, OpenCall, OpenCustomCall):
        item = make(kind)
        item.start()
        item.add("a")
        whole = item.made("completed")
        assert msgspec.json.decode(msgspec.json.encode(whole), type=OutputItem) == whole
