"""Bytes to chunks: the same for any pieces, and never anything but a StreamError."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cria.bench import events
from cria.bench.events import Chunk, EventStream, StreamError, error_message, shown
from tests.bench.fake_server import DONE, GOOD, text, usage

STREAMS = {
    "ours": b": ping\n\n" + b"".join(GOOD),
    "carriage returns": b"".join(GOOD).replace(b"\n", b"\r\n"),
    "no space": b"".join(GOOD).replace(b"data: ", b"data:"),
    "other fields": b"event: x\nid: 3\nretry: 9\n\n\n" + b"".join(GOOD),
    "several lines": b"".join(GOOD).replace(b'"choices": ', b'"choices":\ndata:'),
    "more after the end": b"".join(GOOD) + b"data: nonsense\n\n",
}


def feed_all(data: bytes, cuts: list[int]) -> tuple[list[Chunk], bool]:
    """Everything in pieces that end at these places."""
    stream, chunks = EventStream(), []
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in zip(bounds, bounds[1:], strict=False):
        chunks += stream.feed(data[start:end])
    return chunks, stream.done


@pytest.mark.parametrize("name", STREAMS)
def test_every_form_means_the_same(name: str) -> None:
    chunks, done = feed_all(STREAMS[name], [])
    assert [chunk.has_text for chunk in chunks] == [True, True, True, False, False]
    assert chunks[-1].usage == events.Usage(7, 5)
    assert done


@given(st.sampled_from(sorted(STREAMS)), st.lists(st.integers(0, 10_000)))
def test_any_pieces_give_the_same_chunks(name: str, cuts: list[int]) -> None:
    assert feed_all(STREAMS[name], cuts) == feed_all(STREAMS[name], [])


def test_byte_by_byte() -> None:
    data = STREAMS["carriage returns"]
    assert feed_all(data, list(range(len(data)))) == feed_all(data, [])


@given(st.text())
def test_any_text_is_text(words: str) -> None:
    data = json.dumps({"choices": [{"text": words}]}, ensure_ascii=False).encode()
    (chunk,) = EventStream().feed(b"data: " + data + b"\n\n")
    assert chunk.has_text == bool(words)


GARBAGE = st.binary() | st.builds(
    b"".join,
    st.lists(
        st.sampled_from([*GOOD, b"data:", b"\n", b"\r\n", b"{", b"[" * 3000, b"null", b'"\xff'])
    ),
)


@given(st.lists(GARBAGE))
@example([b"data: " + b"[" * 100_000 + b"\n\n"])
@example([b'data: {"choices": [{"text": "\xff"}]}\n\n'])
@example([b"data: []\n\n"])
@example([b'data: {"choices": 3}\n\n'])
def test_garbage_is_a_stream_error_at_worst(pieces: list[bytes]) -> None:
    stream = EventStream()
    try:
        for piece in pieces:
            stream.feed(piece)
    except StreamError as error:
        assert len(str(error)) < 1000


@given(st.binary())
def test_an_error_message_is_one_bounded_line(body: bytes) -> None:
    message = error_message(body)
    assert message.isprintable()
    assert len(message) <= events.MAX_REASON + 3


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


def test_an_error_event_ends_the_stream() -> None:
    with pytest.raises(StreamError, match="^out of memory$"):
        EventStream().feed(text("a") + b'data: {"error": {"message": "out of memory"}}\n\n')


def test_an_error_of_null_is_none() -> None:
    assert len(EventStream().feed(b'data: {"error": null, "choices": []}\n\n')) == 1


def test_the_end_is_known_only_when_it_is_whole() -> None:
    stream = EventStream()
    stream.feed(usage(1, 1) + DONE[:-1])
    assert not stream.done
    stream.feed(DONE[-1:])
    assert stream.done


def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_EVENT_BYTES", 100)
    stream = EventStream()
    stream.feed(b"x" * 100)
    with pytest.raises(StreamError, match="more than 100 bytes"):
        stream.feed(b"x")


def test_what_is_shown_is_cut() -> None:
    assert shown(b"x" * 10_000) == "x" * events.MAX_REASON + "..."
