from __future__ import annotations

import re

import pytest

from cria.api.events import CallDelta, CallStarted, ChoiceDelta, ReasoningDelta
from cria.formats.pieces import Piece, PieceKind
from cria.generation.answer_tokens import PLAIN, Display, TokenTexts
from cria.generation.choice import ChoiceState, new_call_id
from cria.ipc.messages import SequenceOutput
from cria.output.processor import OutputProcessor

BYTES = [bytes([value]) for value in range(256)]


def make_choice(display: Display = PLAIN) -> ChoiceState:
    return ChoiceState(2, OutputProcessor(BYTES, ()), [1], display, None, is_first=True)


def test_every_piece_becomes_an_event_of_its_choice() -> None:
    choice = make_choice()
    pieces = [
        Piece(PieceKind.REASONING, "hm"),
        Piece(PieceKind.CONTENT, "so"),
        Piece(PieceKind.CALL, "f"),
        Piece(PieceKind.ARGUMENTS, "{}"),
        Piece(PieceKind.CALL_END),
        Piece(PieceKind.CALL, "g"),
    ]
    reasoning, text, first, arguments, second = choice.tell(pieces, is_final=False)
    assert reasoning == ReasoningDelta(2, "hm")
    assert text == ChoiceDelta(2, "so")
    assert isinstance(first, CallStarted) and isinstance(second, CallStarted)
    assert (first.number, first.name, second.number, second.name) == (0, "f", 1, "g")
    assert first.call_id != second.call_id
    assert arguments == CallDelta(2, 0, "{}")


def test_the_kind_of_a_tool_is_told() -> None:
    choice = make_choice()
    choice.kinds = {"patch": "custom"}
    (event,) = choice.tell([Piece(PieceKind.CALL, "patch")], is_final=False)
    assert isinstance(event, CallStarted) and event.kind == "custom"


def test_tokens_and_ids_ride_on_the_first_event() -> None:
    choice = make_choice(Display(TokenTexts(BYTES, BYTES)))
    choice.token_ids = []
    output = SequenceOutput(0, (97,))
    choice.count(output)
    choice.feed(output, is_last=False)
    pieces = [Piece(PieceKind.REASONING, "x"), Piece(PieceKind.CONTENT, "a")]
    first, second = choice.tell(pieces, is_final=False)
    assert isinstance(first, ReasoningDelta) and isinstance(second, ChoiceDelta)
    assert ([token.piece for token in first.tokens], first.token_ids) == ([b"a"], (97,))
    assert (second.tokens, second.token_ids) == ((), ())


def test_tokens_without_text_are_told_by_themselves() -> None:
    choice = make_choice(Display(TokenTexts(BYTES, BYTES)))
    choice.feed(SequenceOutput(0, (97,)), is_last=False)
    (event,) = choice.tell([], is_final=True)
    assert isinstance(event, ChoiceDelta)
    assert (event.text, len(event.tokens)) == ("", 1)


@pytest.mark.parametrize(
    ("num_calls", "reason", "told"),
    [
        (0, "stop", "stop"),
        (1, "stop", "tool_calls"),
        (1, "length", "length"),
    ],
)
def test_an_answer_with_calls_says_so_unless_it_was_cut(
    num_calls: int, reason: str, told: str
) -> None:
    choice = make_choice()
    choice.num_calls = num_calls
    assert choice.finish_reason(reason) == told


def test_ids_of_calls() -> None:
    assert re.fullmatch(r"call_[A-Za-z0-9]{24}", new_call_id())
