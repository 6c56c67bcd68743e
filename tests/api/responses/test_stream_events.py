"""One event is two lines; its name stands in both."""

from __future__ import annotations

import json

from cria.api.responses.stream_events import ArgumentsDone, StreamEvent, TextDelta, frame


def test_a_frame_is_a_name_and_a_line_of_json() -> None:
    data = frame(TextDelta(4, "msg_1", 0, 0, "a\n\u2028b"))
    name, line, *rest = data.decode().split("\n")
    assert name == "event: response.output_text.delta"
    assert rest == ["", ""]
    assert len(line.splitlines()) == 1
    assert json.loads(line.removeprefix("data: ")) == {
        "type": "response.output_text.delta",
        "sequence_number": 4,
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "delta": "a\n\u2028b",
        "logprobs": [],
    }


def test_every_event_has_a_name_of_its_own() -> None:
    kinds = [StreamEvent]
    for kind in kinds:
        kinds += kind.__subclasses__()
    tags = [str(kind.__struct_config__.tag) for kind in kinds]
    names = [tag for tag in tags if tag.startswith("response.")]
    assert len(names) == len(set(names)) == 22
    assert set(tags) - set(names) == {"StreamEvent", "OfItem", "error"}


def test_the_end_of_a_call_has_its_name() -> None:
    assert b'"name":"f","arguments":"{}"' in frame(ArgumentsDone(1, "fc_1", 0, "f", "{}"))
