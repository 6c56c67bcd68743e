"""Load the text side of a model: its vocabulary and chat template, without its weights.

This is what the server process needs of a GGUF file. The GPUs stay with the engine.
"""

from __future__ import annotations

from typing import NamedTuple

from cria.native import library, log
from cria.native.model import Model, ModelOptions
from cria.native.vocab import Vocab
from cria.prompt.chat_template import ChatTemplate
from cria.prompt.tokenizer import Tokenizer


class TextSide(NamedTuple):
    """What turns requests into token ids, and token ids into text."""

    tokenizer: Tokenizer
    template: ChatTemplate
    pieces: list[bytes]
    """The bytes of each token as they appear in text."""


def load_text_side(path: str) -> TextSide:
    """SetupError if the libraries are missing or the file is no model."""
    library.hide_gpus()
    native = library.load()
    log.drain(native, expected=True)  # the backends complain that the GPUs are hidden
    model = Model(native, path, ModelOptions(vocab_only=True))
    vocab = model.vocab
    tokenizer = Tokenizer(vocab)
    template = ChatTemplate(
        model.chat_template(),
        _text_of(vocab, vocab.bos_id),
        _text_of(vocab, vocab.eos_id),
        tokenizer.control_texts,
    )
    return TextSide(tokenizer, template, vocab.pieces)


def _text_of(vocab: Vocab, token_id: int | None) -> str:
    return "" if token_id is None else vocab.control_pieces[token_id].decode("utf-8", "replace")
