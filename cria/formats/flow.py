"""`Flow`: the pieces of an answer on their way out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from cria.formats.pieces import Piece, PieceKind
from cria.formats.special import unmarked

_TEXTS = {PieceKind.CONTENT, PieceKind.REASONING, PieceKind.ARGUMENTS}


class Flow:
    """Blanks are held until it is known whether they stand before text or before a mark."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._blanks: list[str] = []
        self.has_content = False
        self.is_fresh = True
        """There was neither text nor a call yet; thinking does not count."""

    def say(self, kind: PieceKind, text: str) -> None:
        """Text of the answer or of its thinking; blanks at its end are held."""
        if not text:
            return
        body = text.rstrip() if text[-1].isspace() else text
        if body and self._blanks:
            self._put_text(kind, "".join(self._blanks) + body)
            self._blanks.clear()
        elif body:
            self._put_text(kind, body)
        if body is not text:
            self._blanks.append(text[len(body) :])

    def hold(self, blanks: str) -> None:
        """Blanks that may be none of the text."""
        if blanks:
            self._blanks.append(blanks)

    def drop_held(self) -> None:
        self._blanks.clear()

    def release(self, kind: PieceKind) -> None:
        """They are text after all."""
        if self._blanks:
            self._put_text(kind, "".join(self._blanks))
            self._blanks.clear()

    def put(self, kind: PieceKind, text: str = "") -> None:
        """A part of a call."""
        self._blanks.clear()
        self.is_fresh = False
        self._pieces.append(Piece(kind, unmarked(text)))

    def take(self) -> list[Piece]:
        """The pieces since the last time."""
        pieces, self._pieces = self._pieces, []
        if len(pieces) < 2:
            return pieces
        return [piece for kind, group in groupby(pieces, _kind) for piece in _joined(kind, group)]

    def _put_text(self, kind: PieceKind, text: str) -> None:
        visible = unmarked(text)
        if visible:
            self._pieces.append(Piece(kind, visible))
            if kind is PieceKind.CONTENT:
                self.has_content, self.is_fresh = True, False


def _kind(piece: Piece) -> PieceKind:
    return piece.kind


def _joined(kind: PieceKind, pieces: Iterable[Piece]) -> Iterable[Piece]:
    return [Piece(kind, "".join(p.text for p in pieces))] if kind in _TEXTS else pieces
