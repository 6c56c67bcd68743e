"""Every token is handed out once, with the text that it is a part of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.logprobs import ScoredToken
from cria.generation.answer_tokens import (
    AnswerTokens,
    Display,
    TokenTexts,
    prompt_tokens,
    starts_in,
)
from cria.logprobs import TokenLogprobs
from cria.output.processor import OutputProcessor

BYTES = [bytes([value]) for value in range(256)]
CONTROL = 256
TEXTS = TokenTexts([*BYTES, b""], [*BYTES, b"<|end|>"])


def play(token_ids: list[int], stops: list[str]) -> list[tuple[str, bytes]]:
    """What leaves after each token, and finally: text, and the tokens that are handed out."""
    processor = OutputProcessor(TEXTS.pieces, stops)
    tokens = AnswerTokens(TEXTS, processor, 0)
    left = []
    for token_id in token_ids:
        begin = processor.num_decoded
        text = processor.feed([token_id])
        tokens.add([token_id], TokenLogprobs(-1.0, []), begin)
        left.append((text, pieces(tokens.take(is_final=processor.stopped))))
        if processor.stopped:
            return left
    text = processor.flush()
    return [*left, (text, pieces(tokens.take(is_final=True)))]


def pieces(tokens: tuple[ScoredToken, ...]) -> bytes:
    return b"".join(token.piece for token in tokens)


def test_a_token_comes_with_its_text() -> None:
    assert play([97, 98], []) == [("a", b"a"), ("b", b"b"), ("", b"")]


def test_tokens_wait_for_the_end_of_their_code_point() -> None:
    assert play(list("é".encode()), []) == [("", b""), ("é", "é".encode()), ("", b"")]


def test_tokens_wait_with_text_that_may_become_a_stop_string() -> None:
    assert play(list(b"a<b"), ["<e"]) == [("a", b"a"), ("", b""), ("<b", b"<b"), ("", b"")]


def test_the_tokens_of_a_stop_string_are_dropped() -> None:
    assert play(list(b"a<e"), ["<e"]) == [("a", b"a"), ("", b""), ("", b"")]


def test_half_a_code_point_at_the_end_is_shown_with_its_replacement() -> None:
    assert play([97, 0xC3], []) == [("a", b"a"), ("", b""), ("\ufffd", b"\xc3")]


def test_a_control_token_is_no_text_but_a_token() -> None:
    processor = OutputProcessor(TEXTS.pieces, [])
    tokens = AnswerTokens(TEXTS, processor, 5)
    assert processor.feed([CONTROL]) == ""
    tokens.add([CONTROL], TokenLogprobs(-1.0, [(97, -0.5)]), 0)
    (token,) = tokens.take(is_final=False)
    assert token == ScoredToken(b"<|end|>", False, -1.0, [(b"a", -0.5)], 5)


@given(st.text("aé🙂<e", max_size=12), st.lists(st.sampled_from(["<e", "é", "🙂a"]), max_size=2))
def test_the_tokens_spell_the_text_before_a_stop_string(text: str, stops: list[str]) -> None:
    left = play(list(text.encode()), stops)
    shown = "".join(part for part, _ in left)
    assert b"".join(taken for _, taken in left) == shown.encode()
    for part, taken in left:
        assert taken == part.encode(), "a token left without its text, or before it"


def test_offsets_count_characters_before_the_token() -> None:
    display = Display(TEXTS, "é!", echo=True)
    shown = prompt_tokens(display, list("é!".encode()), [TokenLogprobs(-1.0, [])] * 2)
    assert [(token.piece, token.logprob, token.start) for token in shown] == [
        (b"\xc3", None, 0),
        (b"\xa9", -1.0, 0),
        (b"!", -1.0, 1),
    ]


def test_a_prompt_that_was_not_scored_is_shown_all_the_same() -> None:
    shown = prompt_tokens(Display(TEXTS, "ab"), [97, 98], [])
    assert [(token.piece, token.logprob) for token in shown] == [(b"a", None), (b"b", None)]


def test_of_a_prompt_only_a_part_may_be_shown() -> None:
    display = Display(TEXTS, "abc", first_token=2)
    shown = prompt_tokens(display, [97, 98, 99], [TokenLogprobs(-2.0, [])])
    assert [(token.piece, token.logprob, token.start) for token in shown] == [(b"c", -2.0, 2)]


@pytest.mark.parametrize(
    ("text", "pieces", "starts"),
    [
        ("Hi", [b"<s>", b" ", b"Hi"], [0, 0, 0]),
        ("Hi you", [b"<s>", b" Hi", b" you"], [0, 0, 2]),
        ("a<|x|>b", [b"a", b"<|x|>", b"b"], [0, 1, 6]),
        ("é🙂", ["é".encode(), b"\xf0\x9f", b"\x99\x82"], [0, 1, 1]),
        ("ab", [b"a", b"<|x|>", b"b"], [0, 1, 1]),
        ("", [b"<s>"], [0]),
    ],
)
def test_where_tokens_begin_in_a_text(text: str, pieces: list[bytes], starts: list[int]) -> None:
    assert list(starts_in(text, pieces)) == starts


@given(st.text("aé🙂", max_size=9), st.integers(1, 3))
def test_pieces_of_a_text_begin_where_they_stand(text: str, size: int) -> None:
    data = text.encode()
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    assert list(starts_in(text, pieces)) == [
        len(data[:i].decode("utf-8", "ignore")) for i in range(0, len(data), size)
    ]
