"""Bytes to chunks: the same for any pieces, and never anything but a StreamError."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cria.bench import events
from cria.bench.events import Chunk, ChunkStream
from cria.client.event_stream import StreamError
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
    stream, chunks = ChunkStream(), []
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
    (chunk,) = ChunkStream().feed(b"data: " + data + b"\n\n")
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
    stream = ChunkStream()
    try:
        for piece in pieces:
            stream.feed(piece)
    except StreamError as error:
        assert len(str(error)) < 1000


def test_an_error_event_ends_the_stream() -> None:
    with pytest.raises(StreamError, match="^out of memory$"):
        ChunkStream().feed(text("a") + b'data: {"error": {"message": "out of memory"}}\n\n')


def test_an_error_of_null_is_none() -> None:
    assert len(ChunkStream().feed(b'data: {"error": null, "choices": []}\n\n')) == 1


def test_the_end_is_known_only_when_it_is_whole() -> None:
    stream = ChunkStream()
    stream.feed(usage(1, 1) + DONE[:-1])
    assert not stream.done
    stream.feed(DONE[-1:])
    assert stream.done
