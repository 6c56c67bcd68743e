"""Token ids to pieces; the parser here takes upper case for thinking and digits for a call."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cria.formats.pieces import Piece, PieceKind
from cria.output.parsed import ParsedOutput

BYTES = [bytes([value]) for value in range(256)]
CONTENT, REASONING, ARGUMENTS = PieceKind.CONTENT, PieceKind.REASONING, PieceKind.ARGUMENTS


class CaseParser:
    """Holds the last character back, as a parser that waits for more does."""

    def __init__(self) -> None:
        self._held = ""
        self.is_thinking = False

    def feed(self, text: str) -> list[Piece]:
        text = self._held + text
        self._held = text[-1:]
        found = [Piece(kind_of(character), character) for character in text[:-1]]
        self.is_thinking = bool(found) and found[-1].kind is REASONING
        return found

    def flush(self) -> list[Piece]:
        held, self._held = self._held, ""
        return [Piece(kind_of(held), held)] if held else []


def kind_of(character: str) -> PieceKind:
    if character.isdecimal():
        return ARGUMENTS
    return REASONING if character.isupper() else CONTENT


def play(output: ParsedOutput, text: str) -> str:
    """What leaves, in letters: kind and text."""
    found = [p for byte in text.encode() if not output.stopped for p in output.feed([byte])]
    found += output.flush()
    return " ".join(f"{piece.kind.name[0]}{piece.text}" for piece in found)


def test_pieces_pass_and_the_rest_comes_at_the_end() -> None:
    assert play(ParsedOutput(BYTES, CaseParser()), "Aé1b") == "RA Cé A1 Cb"


def test_a_stop_string_ends_the_text() -> None:
    output = ParsedOutput(BYTES, CaseParser(), ["bc"])
    assert play(output, "abcd") == "Ca"
    assert output.stop_string == "bc"


def test_a_stop_string_is_not_looked_for_in_thinking_and_calls() -> None:
    output = ParsedOutput(BYTES, CaseParser(), ["BC", "12"])
    assert play(output, "aBC12d") == "Ca RB RC A1 A2 Cd"
    assert output.stop_string is None


def test_text_that_could_begin_a_stop_string_leaves_before_a_call() -> None:
    assert play(ParsedOutput(BYTES, CaseParser(), ["bc"]), "ab1c") == "Ca Cb A1 Cc"


def test_a_stop_token_ends_the_answer_with_what_was_held_back() -> None:
    output = ParsedOutput(BYTES, CaseParser(), (), {ord("x")})
    assert play(output, "abxc") == "Ca Cb"
    assert output.stopped
    assert output.feed([ord("d")]) == []


def test_no_stop_counts_in_the_first_tokens() -> None:
    output = ParsedOutput(BYTES, CaseParser(), ["a"], {ord("x")}, min_tokens=2)
    assert play(output, "axbx") == "Ca Cx Cb"


def test_tokens_of_thinking_are_counted() -> None:
    output = ParsedOutput(BYTES, CaseParser())
    play(output, "ABCd")
    assert output.num_reasoning_tokens == 2, "the parser was thinking before C and before d"


@given(st.text("aB1é", max_size=12), st.lists(st.integers(1, 3), max_size=12))
def test_chunks_of_any_size_give_the_same(text: str, sizes: list[int]) -> None:
    output, data, found = ParsedOutput(BYTES, CaseParser()), list(text.encode()), []
    for size in [*sizes, len(data)]:
        found += output.feed(data[:size])
        del data[:size]
    found += output.flush()
    assert "".join(piece.text for piece in found) == text
