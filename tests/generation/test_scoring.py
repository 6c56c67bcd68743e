from __future__ import annotations

import json
from typing import Any

import pytest

from cria.api.decoding import decode
from cria.api.score import ScoreRequest
from cria.errors import RequestError
from cria.generation.scoring import Scored, scored_prompts
from cria.prompt.tokenizer import Tokenizer
from tests.prompt.fake_vocab import FakeVocab

BYTES = Tokenizer(FakeVocab())


class MergingVocab(FakeVocab):
    """Has one token for `ab`, as a real vocabulary has for most words."""

    def tokenize(self, text: bytes, *, add_special: bool, parse_special: bool) -> list[int]:
        ids = super().tokenize(
            text.replace(b"ab", b"\xff"), add_special=add_special, parse_special=parse_special
        )
        return ids


def score(tokenizer: Tokenizer, **fields: Any) -> list[Scored]:
    body = {"model": "m", "prompt": "a", "continuations": ["b"], **fields}
    return scored_prompts(tokenizer, decode(json.dumps(body).encode(), ScoreRequest)[0])


def test_token_ids_are_put_together() -> None:
    found = score(BYTES, prompt=[1, 2], continuations=[[3], [4, 5]])
    assert found == [Scored([1, 2, 3], 2), Scored([1, 2, 4, 5], 2)]


def test_text_is_tokenised_with_its_prompt() -> None:
    start = BYTES.encode_text("xy")
    (found,) = score(BYTES, prompt="xy", continuations=["z!"])
    assert found == Scored(BYTES.encode_text("xyz!"), len(start), "xyz!")


def test_a_token_that_spans_the_border_belongs_to_the_continuation() -> None:
    tokenizer = Tokenizer(MergingVocab())
    (found,) = score(tokenizer, prompt="xa", continuations=["bc"])
    assert found.token_ids == tokenizer.encode_text("xabc")
    assert found.first == len(tokenizer.encode_text("x"))


def test_an_empty_prompt_is_the_beginning_of_everything() -> None:
    (found,) = score(BYTES, prompt="", continuations=["z"])
    assert found.first == 1
    assert found.token_ids[:1] == BYTES.encode_text("")


def test_ids_that_no_token_has() -> None:
    with pytest.raises(RequestError, match="no token of this model") as caught:
        score(BYTES, prompt=[1], continuations=[[2], [10**6]])
    assert caught.value.param == "continuations[1][0]"


def test_where_nothing_of_the_prompt_is_left_the_continuation_stands_by_itself() -> None:
    tokenizer = Tokenizer(MergingVocab())
    (found,) = score(tokenizer, prompt="a", continuations=["bc"])
    assert found.token_ids == [*tokenizer.encode_text("a"), *b"bc"]
    assert found.first == len(tokenizer.encode_text("a"))
