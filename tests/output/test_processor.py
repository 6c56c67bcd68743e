from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.output.processor import OutputProcessor
from tests.every_split import check_every_split
from tests.output.test_stop_strings import cut_naively

BYTES = [bytes([value]) for value in range(256)]


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("Hello 🙂 world", [], "Hello 🙂 world"),
        ("Hello 🙂 world", ["🙂"], "Hello "),
        ("Hello 🙂 world", ["🙁"], "Hello 🙂 world"),
    ],
)
def test_tokens_become_text_up_to_a_stop_string(text: str, stops: list[str], expected: str) -> None:
    check_every_split(lambda: OutputProcessor(BYTES, stops), list(text.encode()), expected)


@given(st.text("aé🙂", max_size=10), st.lists(st.text("aé🙂", min_size=1, max_size=3), max_size=2))
def test_it_agrees_with_cutting_the_whole_text(text: str, stops: list[str]) -> None:
    expected, _ = cut_naively(text, stops)
    check_every_split(lambda: OutputProcessor(BYTES, stops), list(text.encode()), expected)


def test_it_says_when_a_stop_string_was_found() -> None:
    processor = OutputProcessor(BYTES, ["END"])
    seen = [(processor.feed(piece), processor.stopped) for piece in (b"text EN", b"D more")]
    assert seen == [("text ", False), ("", True)]
    assert processor.flush() == ""


def test_flush_releases_all_stages_in_order() -> None:
    processor = OutputProcessor(BYTES, ["\nUser:"])
    assert processor.feed(b"text\nUs" + "é".encode()[:1]) == "text"
    assert processor.flush() == "\nUs\ufffd"
    assert not processor.stopped


@pytest.mark.parametrize(
    ("text", "stop_ids", "min_tokens", "expected"),
    [
        ("ab!cd", b"!", 0, "ab"),
        ("!ab", b"!", 0, ""),
        ("ab!cd!ef", b"!", 3, "ab!cd"),
        ("ab!cd!ef", b"!?", 2, "ab"),
        ("ab!", b"!", 99, "ab!"),
        ("abENDcdENDef", b"", 4, "abENDcd"),
        ("abENDcdENDef", b"", 5, "abENDcd"),
        ("abENDcdENDef", b"", 2, "ab"),
        ("abEN!", b"!", 0, "abEN"),
        ("abEND!", b"!", 0, "ab"),
        ("é!é", b"!", 1, "é"),
    ],
)
def test_a_stop_is_looked_for_after_the_least_number_of_tokens(
    text: str, stop_ids: bytes, min_tokens: int, expected: str
) -> None:
    def make() -> OutputProcessor:
        return OutputProcessor(BYTES, ["END"], frozenset(stop_ids), min_tokens)

    check_every_split(make, list(text.encode()), expected)


def test_it_says_when_a_stop_token_came() -> None:
    processor = OutputProcessor(BYTES, ["END"], {ord("!")}, 2)
    seen = [(processor.feed(piece), processor.stopped) for piece in (b"!a", b"EN", b"b!c", b"d")]
    assert seen == [("!a", False), ("", False), ("ENb", True), ("", True)]
    assert processor.flush() == ""
