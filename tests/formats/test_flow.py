from __future__ import annotations

from cria.formats.flow import Flow
from cria.formats.pieces import Piece, PieceKind
from cria.formats.special import MARK

CONTENT, REASONING = PieceKind.CONTENT, PieceKind.REASONING


def test_blanks_wait_for_text() -> None:
    flow = Flow()
    flow.say(CONTENT, "a \n")
    assert flow.take() == [Piece(CONTENT, "a")]
    flow.say(CONTENT, " ")
    flow.say(CONTENT, "b")
    assert flow.take() == [Piece(CONTENT, " \n b")]


def test_blanks_before_a_call_are_dropped() -> None:
    flow = Flow()
    flow.say(CONTENT, "a ")
    flow.put(PieceKind.CALL, "f")
    flow.hold(" ")
    flow.drop_held()
    flow.release(CONTENT)
    assert flow.take() == [Piece(CONTENT, "a"), Piece(PieceKind.CALL, "f")]


def test_blanks_can_be_text() -> None:
    flow = Flow()
    flow.hold("\n")
    flow.release(CONTENT)
    assert flow.take() == [Piece(CONTENT, "\n")]


def test_pieces_of_a_kind_are_joined_but_calls_are_not() -> None:
    flow = Flow()
    for text in "ab":
        flow.say(CONTENT, text)
        flow.put(PieceKind.CALL_END)
        flow.put(PieceKind.CALL_END)
    flow.say(CONTENT, MARK)
    flow.say(CONTENT, f"{MARK}c")
    flow.say(CONTENT, "d")
    end = Piece(PieceKind.CALL_END)
    pieces = [Piece(CONTENT, "a"), end, end, Piece(CONTENT, "b"), end, end, Piece(CONTENT, "cd")]
    assert flow.take() == pieces
    assert flow.take() == []


def test_what_there_was() -> None:
    flow = Flow()
    flow.say(REASONING, "a")
    assert (flow.is_fresh, flow.has_content) == (True, False)
    flow.put(PieceKind.CALL, "f")
    assert (flow.is_fresh, flow.has_content) == (False, False)
    flow.say(CONTENT, "a")
    assert flow.has_content
