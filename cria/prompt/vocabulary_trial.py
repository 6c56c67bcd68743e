"""Whether a vocabulary tokenises at all, found out before the first request.

`llama_tokenize` aborts the process when it is to add a token that is not there.
"""

from __future__ import annotations

from cria.errors import ModelFileError, NativeError
from cria.prompt.tokenizer import Vocabulary

WORD_PIECES = "bert"
"""A kind of vocabulary that adds its two tokens whatever the file says."""
TRIAL = b"Hi"


def try_vocabulary(vocab: Vocabulary, path: str, tokenizer: str) -> None:
    """ModelFileError says what is missing; `tokenizer` is the vocabulary's kind."""
    for name, is_added, token_id in _added(vocab, tokenizer == WORD_PIECES):
        if is_added and token_id is None:
            raise ModelFileError(
                f"{path} cannot be served: its vocabulary adds {name} token to each text, "
                "but has none."
            )
    try:
        vocab.tokenize(TRIAL, add_special=True, parse_special=True)
    except NativeError as error:
        raise ModelFileError(
            f"{path} cannot be served: its vocabulary has no tokens for {TRIAL.decode()!r}."
        ) from error


def _added(vocab: Vocabulary, has_word_pieces: bool) -> list[tuple[str, bool, int | None]]:
    """Name, whether it is added, and id."""
    begin = ("a begin-of-sequence", has_word_pieces or vocab.add_bos, vocab.bos_id)
    if has_word_pieces:
        return [begin, ("a separator", True, vocab.sep_id)]
    return [begin, ("an end-of-sequence", vocab.add_eos, vocab.eos_id)]
