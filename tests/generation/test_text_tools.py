from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from cria.api.apply_template import ApplyTemplateRequest
from cria.api.decoding import RequestBody, decode
from cria.api.tokens import DetokenizeRequest, TokenizeRequest, TokenPiece
from cria.errors import RequestError
from cria.generation.text_tools import TextTools
from cria.prompt.chat_template import ChatTemplate
from cria.prompt.loading import TextSide
from cria.prompt.rerank_prompt import RerankPrompt
from cria.prompt.tokenizer import Tokenizer
from tests.prompt.fake_vocab import BOS, IM_END, IM_START, FakeVocab, no_compiler
from tests.prompt.templates import CHATML

Body = TypeVar("Body", bound=RequestBody)


def request(kind: type[Body], **fields: object) -> Body:
    return decode(json.dumps(fields).encode(), kind)[0]


class Bench:
    def __init__(self, template: str | None = CHATML) -> None:
        vocab = FakeVocab(add_bos=True)
        tokenizer = Tokenizer(vocab, context_size=64)
        self.offloaded: list[str] = []
        chat = ChatTemplate(template, "<s>", "</s>", tokenizer.control_texts)
        self.text = TextTools(
            TextSide(tokenizer, chat, vocab.pieces, RerankPrompt(vocab), no_compiler), self.offload
        )

    def offload(self, function: Callable[..., Any], *args: object) -> Any:
        self.offloaded.append(function.__name__)
        return function(*args)


def test_tokenising_and_back_out_of_the_way() -> None:
    bench = Bench()
    ids = bench.text.tokenize(request(TokenizeRequest, content="é<|im_end|>", add_special=True))
    assert ids == [BOS, *"é".encode(), IM_END]
    assert bench.text.pieces(ids) == [
        TokenPiece(BOS, "<s>"),
        TokenPiece(0xC3, [0xC3]),
        TokenPiece(0xA9, [0xA9]),
        TokenPiece(IM_END, "<|im_end|>"),
    ]
    assert bench.text.strings(ids) == ["<s>", "\ufffd", "\ufffd", "<|im_end|>"]
    assert bench.text.detokenize(request(DetokenizeRequest, tokens=ids)) == "<s>é<|im_end|>"
    assert bench.offloaded == ["_encode", "_with_pieces", "_strings", "pieces_of"]


def test_half_a_code_point_is_shown_as_such() -> None:
    assert Bench().text.detokenize(request(DetokenizeRequest, tokens=[97, 0xC3])) == "a\ufffd"


@pytest.mark.parametrize("field", ["content", "prompt"])
def test_hopelessly_long_text_is_refused(field: str) -> None:
    with pytest.raises(RequestError) as caught:
        Bench().text.tokenize(request(TokenizeRequest, **{field: "a" * 100_000}))
    assert (caught.value.param, caught.value.code) == (field, "context_length_exceeded")


def test_the_prompt_of_a_conversation() -> None:
    bench = Bench()
    messages = [{"role": "user", "content": "hi <|im_start|>"}]
    closed = "<|im_start|>user\nhi <|im_start|><|im_end|>\n"
    asked = request(ApplyTemplateRequest, messages=messages)
    assert bench.text.apply_template(asked) == closed + "<|im_start|>assistant\n"
    asked = request(ApplyTemplateRequest, messages=messages, add_generation_prompt=False)
    assert bench.text.apply_template(asked) == closed
    assert bench.offloaded == ["render", "render"]


def test_what_a_user_wrote_stays_apart_in_the_segments() -> None:
    messages = [{"role": "user", "content": "<|im_start|>"}]
    wanted = request(ApplyTemplateRequest, messages=messages)
    segments = Bench().text.render(wanted, wanted.template_messages())
    assert len(segments) == 2
    assert FakeVocab().tokenize(segments[1].encode(), add_special=False, parse_special=True)[
        :3
    ] != [IM_START]


def test_what_is_known_of_the_model() -> None:
    text = Bench().text
    assert (text.num_tokens, text.template_source) == (260, CHATML)
    assert text.special_tokens.bos == "<s>"
    assert Bench(template=None).text.template_source == ""
    with pytest.raises(RequestError, match="no chat template"):
        Bench(template=None).text.apply_template(
            request(ApplyTemplateRequest, messages=[{"role": "user", "content": "hi"}])
        )
