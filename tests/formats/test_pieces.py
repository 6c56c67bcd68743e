from __future__ import annotations

from cria.formats.pieces import Piece, PieceKind


def test_the_end_of_a_call_has_no_text() -> None:
    assert Piece(PieceKind.CALL_END) == Piece(PieceKind.CALL_END, "")
