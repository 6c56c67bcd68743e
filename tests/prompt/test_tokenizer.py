from __future__ import annotations

import pytest

from cria.errors import RequestError
from cria.prompt.tokenizer import RUN_LENGTH, Tokenizer, check_runs
from tests.prompt.fake_vocab import BOS, CONTROL, EOS, FIM_IDS, IM_END, IM_START, FakeVocab


def test_control_texts_are_those_of_tokens_without_visible_text() -> None:
    assert Tokenizer(FakeVocab()).control_texts == set(CONTROL)


def test_the_vocabulary_is_visible() -> None:
    tokenizer = Tokenizer(FakeVocab())
    assert tokenizer.num_tokens == 260
    assert tokenizer.pieces[65] == b"A"


@pytest.mark.parametrize(("add_bos", "begin"), [(True, [BOS]), (False, [])])
def test_plain_text_begins_as_the_model_wants(add_bos: bool, begin: list[int]) -> None:
    tokenizer = Tokenizer(FakeVocab(add_bos=add_bos))
    assert tokenizer.encode_text("a<|im_start|>") == [*begin, 97, IM_START]


def test_plain_text_is_left_open() -> None:
    tokenizer = Tokenizer(FakeVocab(add_eos=True))
    assert tokenizer.encode_text("a") == [97]
    assert tokenizer.encode_text("a</s>") == [97, EOS]


def test_no_text_is_the_begin_of_sequence_token() -> None:
    assert Tokenizer(FakeVocab(add_bos=True)).encode_text("") == [BOS]
    assert Tokenizer(FakeVocab(add_bos=False)).encode_text("") == [BOS]
    with pytest.raises(RequestError) as caught:
        Tokenizer(FakeVocab(bos_id=None)).encode_text("")
    assert (caught.value.param, caught.value.code) == ("prompt", "empty_string")


def test_a_text_to_embed_is_whole() -> None:
    tokenizer = Tokenizer(FakeVocab(add_bos=True, add_eos=True))
    assert tokenizer.encode_whole("a<s>", 10) == [BOS, 97, BOS, EOS]
    assert Tokenizer(FakeVocab()).encode_whole("a", 10) == [97]
    with pytest.raises(RequestError) as caught:
        tokenizer.encode_whole("a" * 100_000, 10)
    assert (caught.value.param, caught.value.code) == ("input", "context_length_exceeded")


def test_a_conversation_begins_with_one_begin_of_sequence_token() -> None:
    tokenizer = Tokenizer(FakeVocab(add_bos=True))
    assert tokenizer.encode_chat(("a",)) == [BOS, 97]
    assert tokenizer.encode_chat(("<s>a",)) == [BOS, 97]
    assert tokenizer.encode_chat(()) == [BOS]
    assert Tokenizer(FakeVocab(add_bos=False)).encode_chat(("a",)) == [97]
    assert Tokenizer(FakeVocab(add_bos=True, bos_id=None)).encode_chat(("a",)) == [97]


def test_segments_are_tokenised_one_by_one() -> None:
    assert Tokenizer(FakeVocab()).encode_chat(("<", "s>", "<s>")) == [*b"<s>", BOS]


@pytest.mark.parametrize(
    ("vocab", "begin"),
    [
        (FakeVocab(fim=True), []),
        (FakeVocab(fim=True, add_bos=True, add_eos=True), [BOS]),
        (FakeVocab(fim=True, add_bos=True, bos_id=None), []),
    ],
)
@pytest.mark.parametrize(("prefix", "prefix_ids"), [("ab", [97, 98]), ("", []), ([5, 6], [5, 6])])
def test_what_stands_between_two_texts(
    vocab: FakeVocab, begin: list[int], prefix: str | list[int], prefix_ids: list[int]
) -> None:
    before_prefix, before_suffix, before_middle = FIM_IDS
    ids = Tokenizer(vocab).encode_infill(prefix, "c")
    assert ids == [*begin, before_prefix, *prefix_ids, before_suffix, 99, before_middle]


def test_texts_around_a_gap_hold_no_control_tokens() -> None:
    ids = Tokenizer(FakeVocab(fim=True)).encode_infill("a<fim_suffix></s>", "<fim_middle>")
    assert [id for id in ids if id > 255] == list(FIM_IDS)
    assert bytes(id for id in ids if id < 256) == b"a<fim_suffix></s><fim_middle>"


def test_a_model_that_fills_no_gaps_says_so() -> None:
    with pytest.raises(RequestError, match="no tokens for filling in the middle") as caught:
        Tokenizer(FakeVocab()).encode_infill("a", "b")
    assert (caught.value.param, caught.value.code) == ("suffix", "unsupported_parameter")


def test_hopelessly_long_texts_around_a_gap_are_refused() -> None:
    vocab = FakeVocab(fim=True)
    with pytest.raises(RequestError) as caught:
        Tokenizer(vocab, context_size=16).encode_infill("a", "b" * 100_000)
    assert (caught.value.param, caught.value.code) == ("prompt", "context_length_exceeded")
    assert vocab.calls == []


def test_text_and_ids_in_turns_become_what_they_are() -> None:
    tokenizer = Tokenizer(FakeVocab(add_bos=True, add_eos=True))

    def encode(*parts: str | int, add_special: bool = False, parse_special: bool = True) -> object:
        return tokenizer.encode_parts(
            parts, "content", add_special=add_special, parse_special=parse_special
        )

    assert encode("a", 5, "b") == [97, 5, 98]
    assert encode("a", "b", add_special=True) == [BOS, 97, EOS, 98]
    assert encode(5, "b", add_special=True) == [5, 98]
    assert encode("<s>") == [BOS]
    assert encode("<s>", parse_special=False) == [*b"<s>"]
    assert encode() == []
    with pytest.raises(RequestError) as caught:
        encode("a", 260)
    assert caught.value.param == "content[1]"


def test_pieces_spell_control_tokens_out() -> None:
    tokenizer = Tokenizer(FakeVocab(), context_size=1)
    assert tokenizer.pieces_of([97, BOS], "tokens") == [b"a", b"<s>"]
    with pytest.raises(RequestError) as caught:
        tokenizer.pieces_of([97, 260], "tokens")
    assert caught.value.param == "tokens[1]"
    with pytest.raises(RequestError) as caught:
        tokenizer.pieces_of([IM_START] * 10_000, "tokens")
    assert (caught.value.param, caught.value.code) == ("tokens", "context_length_exceeded")


def test_special_tokens_by_their_text() -> None:
    assert Tokenizer(FakeVocab(add_bos=True)).special_tokens == ("<s>", "</s>", None, True, False)
    assert Tokenizer(FakeVocab(bos_id=None)).special_tokens.bos is None


def test_ids_have_to_be_in_the_vocabulary() -> None:
    tokenizer = Tokenizer(FakeVocab())
    tokenizer.check_ids([0, 259], "prompt")
    tokenizer.check_logit_bias({0: 1.0, 259: 1.0})
    for bad in (-1, 260, 2**40):
        with pytest.raises(RequestError) as caught:
            tokenizer.check_ids([5, bad], "prompt")
        assert caught.value.param == "prompt[1]"
        assert "0 to 259" in str(caught.value)
        with pytest.raises(RequestError) as caught:
            tokenizer.check_logit_bias([bad])
        assert caught.value.param == "logit_bias"


def test_hopelessly_long_text_is_refused_before_it_is_tokenised() -> None:
    vocab = FakeVocab()
    tokenizer = Tokenizer(vocab, context_size=1024)
    limit = 64 * 1024 + 64 * 1024
    too_long = "é" * (limit // 2 + 1)
    with pytest.raises(RequestError) as caught:
        tokenizer.encode_text(too_long)
    assert (caught.value.param, caught.value.code) == ("prompt", "context_length_exceeded")
    assert "maximum context length is 1024 tokens" in str(caught.value)
    with pytest.raises(RequestError) as caught:
        tokenizer.encode_chat((too_long[:10], too_long[10:]))
    assert caught.value.param == "messages"
    assert vocab.calls == []
    assert len(tokenizer.encode_text("a" * limit)) == limit


def test_some_token_must_be_allowed() -> None:
    tokenizer = Tokenizer(FakeVocab())
    tokenizer.check_allowed((), {5}, may_end=False)
    tokenizer.check_allowed((5, 6), {5}, may_end=False)
    tokenizer.check_allowed((EOS,), (), may_end=True)
    for token_ids, banned, may_end in (((5,), {5}, True), ((5, EOS, IM_END), {5}, False)):
        with pytest.raises(RequestError, match="forbid all of them") as caught:
            tokenizer.check_allowed(token_ids, banned, may_end=may_end)
        assert caught.value.param == "allowed_token_ids"
    with pytest.raises(RequestError, match="no token of this model") as caught:
        tokenizer.check_allowed((5, 10**6), (), may_end=True)
    assert caught.value.param == "allowed_token_ids[1]"


def test_a_bias_may_not_forbid_everything() -> None:
    tokenizer = Tokenizer(FakeVocab())
    every = frozenset(range(tokenizer.num_tokens))
    for banned, may_end in ((every, True), (every - {EOS, IM_END}, False)):
        with pytest.raises(RequestError) as caught:
            tokenizer.check_allowed((), banned, may_end=may_end)
        assert caught.value.param == "logit_bias"
    tokenizer.check_allowed((), every - {EOS}, may_end=True)
    tokenizer.check_allowed((), every - {5}, may_end=False)


@pytest.mark.parametrize("char", ["a", "1", "!", " ", "\n", "\u4e2d", "\u0301", "\U0001f642"])
def test_endless_runs_are_refused(char: str) -> None:
    check_runs(char * (RUN_LENGTH - 1), "prompt")
    for ends in ("", "a ", "a " * 90_000):
        with pytest.raises(RequestError) as caught:
            check_runs(ends + char * (2 * RUN_LENGTH) + ends, "prompt")
        assert (caught.value.param, caught.value.code) == ("prompt", "invalid_value")


def test_long_text_of_words_is_no_run() -> None:
    check_runs("word " * 1_000_000, "prompt")
    check_runs(("x" * (RUN_LENGTH - 1) + " ") * 10, "prompt")


def test_the_refusal_names_what_the_prompt_is_made_of() -> None:
    tokenizer = Tokenizer(FakeVocab(), context_size=10)
    with pytest.raises(RequestError, match="your messages and tools resulted in 70000 bytes"):
        tokenizer.encode_chat(["a" * 70_000], "messages and tools")
