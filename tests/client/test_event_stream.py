"""Bytes to events: the same for any pieces; and the sentence in an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.client import event_stream
from cria.client.event_stream import EventStream, StreamError, error_message, shown

WHOLE = b": ping\n\ndata: 1\r\n\r\nevent: x\ndata:2\ndata: 3\n\ndata: [DONE]\n\ndata: 4\n\n"


def test_data_alone_counts_up_to_the_end() -> None:
    stream = EventStream()
    assert stream.feed(WHOLE) == [b"1", b"2\n3"]
    assert stream.done


@given(st.lists(st.integers(0, len(WHOLE))))
def test_any_pieces_give_the_same_events(cuts: list[int]) -> None:
    stream, payloads = EventStream(), []
    bounds = [0, *sorted(cuts), len(WHOLE)]
    for start, end in zip(bounds, bounds[1:], strict=False):
        payloads += stream.feed(WHOLE[start:end])
    assert payloads == [b"1", b"2\n3"] and stream.done


@given(st.binary())
def test_an_error_message_is_one_bounded_line(body: bytes) -> None:
    message = error_message(body)
    assert message.isprintable()
    assert len(message) <= event_stream.MAX_REASON + 3


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "no", "code": 3}}', "no"),
        (b'{"error": "no"}', "no"),
        (b'{"detail": "no"}', "no"),
        (b'{"message": "no"}', "no"),
        (b'{"other": "no"}', "{'other': 'no'}"),
        (b"<html>\n  no\n</html>", "<html> no </html>"),
        (b"", ""),
    ],
)
def test_the_message_of_an_error(body: bytes, message: str) -> None:
    assert error_message(body) == message


def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MAX_EVENT_BYTES", 100)
    stream = EventStream()
    stream.feed(b"x" * 100)
    with pytest.raises(StreamError, match="more than 100 bytes"):
        stream.feed(b"x")


def test_what_is_shown_is_cut() -> None:
    assert shown(b"x" * 10_000) == "x" * event_stream.MAX_REASON + "..."
