from __future__ import annotations

from cria.generation.answer_tokens import Display, TokenTexts
from cria.generation.echo import PromptEcho
from cria.logprobs import TokenLogprobs

BYTES = [bytes([value]) for value in range(256)]


def test_tokens_are_made_once_and_their_sources_forgotten() -> None:
    echo = PromptEcho([97, 98], Display(TokenTexts(BYTES, BYTES), "ab", True), is_scored=True)
    assert not echo.is_known and (echo.text, echo.num_tokens) == ("ab", 2)
    echo.add([TokenLogprobs(-2.0, [(97, -0.5)])])
    tokens = echo.tokens()
    assert [(t.piece, t.logprob, t.top) for t in tokens] == [
        (b"a", None, []),
        (b"b", -2.0, [(b"a", -0.5)]),
    ]
    assert echo.tokens() is tokens and echo._logprobs == []


def test_a_part_of_a_prompt_or_no_tokens_at_all() -> None:
    some = Display(TokenTexts(BYTES, BYTES), echo=True, first_token=1)
    assert PromptEcho([97, 98, 99], some, is_scored=False).num_tokens == 2
    plain = PromptEcho([97], Display(prompt_text="a", echo=True), is_scored=False)
    assert plain.is_known and plain.tokens() == ()
