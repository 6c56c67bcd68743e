from __future__ import annotations

import pytest

from cria.errors import RequestError
from cria.prompt.rerank_prompt import RerankPrompt
from tests.prompt.fake_vocab import BOS, CONTROL, EOS, IM_END, IM_START, SEP, FakeVocab


def test_bert_reads_two_texts_between_its_tokens() -> None:
    vocab = FakeVocab(add_bos=True, add_sep=True, eos_id=None)
    assert RerankPrompt(vocab).encode("q", ["a", "b"]) == [
        [BOS, *b"q", SEP, *b"a"],
        [BOS, *b"q", SEP, *b"b"],
    ]


def test_roberta_ends_each_text() -> None:
    vocab = FakeVocab(add_bos=True, add_eos=True, add_sep=True)
    assert RerankPrompt(vocab).encode("q", ["a"]) == [[BOS, *b"q", EOS, SEP, *b"a", EOS]]
    vocab = FakeVocab(add_eos=True, eos_id=None)
    assert RerankPrompt(vocab).encode("q", ["a"]) == [[*b"q", SEP, *b"a", SEP]]


def test_without_tokens_of_its_own_the_texts_follow_each_other() -> None:
    assert RerankPrompt(FakeVocab(bos_id=None)).encode("q", ["a"]) == [[*b"qa"]]


def test_a_template_is_filled_in_and_tokenised_whole() -> None:
    vocab = FakeVocab(add_bos=True)
    prompt = RerankPrompt(vocab, "<|im_start|>{document} {query}?<|im_end|>", CONTROL)
    assert prompt.encode("q", ["a"]) == [[IM_START, *b"a q?", IM_END]]
    assert vocab.calls == [b"<|im_start|>a q?<|im_end|>"]


def test_a_text_is_never_a_control_token() -> None:
    template = "<s>{query}|{document}</s>"
    prompt = RerankPrompt(FakeVocab(), template, CONTROL)
    assert prompt.encode("<s>", ["</s> x"]) == [[BOS, *b"<s>|</s> x", EOS]]
    assert RerankPrompt(FakeVocab()).encode("<s>", ["</s>"]) == [[*b"<s></s>"]]


def test_a_text_is_no_place_and_no_program() -> None:
    prompt = RerankPrompt(FakeVocab(), "{query}|{document}", CONTROL)
    assert prompt.encode("{document}", ["{{ 7 * 7 }}"]) == [[*b"{document}|{{ 7 * 7 }}"]]


@pytest.mark.parametrize("template", ["", "{query}", "{document}", "{{ query }} {{ document }}"])
def test_a_template_without_places_is_refused(template: str) -> None:
    with pytest.raises(RequestError, match="has no places for a query and a document"):
        RerankPrompt(FakeVocab(), template).encode("q", ["a"])
