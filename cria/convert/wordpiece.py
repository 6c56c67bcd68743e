"""BERT's vocabulary, one token a line of `vocab.txt`, as llama.cpp wants it.

BERT marks what goes on within a word (`##ing`); llama.cpp marks what begins one (`▁sing`).
"""

from __future__ import annotations

from pathlib import Path

from cria.errors import ModelFileError

NORMAL, CONTROL, UNUSED = 1, 3, 5  # enum llama_token_type
WORD_START = "\u2581"
SPECIAL = {"[CLS]": "cls", "[SEP]": "sep", "[UNK]": "unk", "[PAD]": "pad", "[MASK]": "mask"}
"""The tokens with a meaning of their own, and their names in a GGUF file."""


class WordPieces:
    """The tokens in the order of their ids."""

    def __init__(self, words: list[str], size: int) -> None:
        """`size` is that of the embeddings, which may have room for tokens without a name."""
        missing = [word for word in ("[CLS]", "[SEP]", "[UNK]") if word not in words]
        if missing or not 0 < len(words) <= size:
            what = f"has no {missing[0]}" if missing else f"does not fit {size} embeddings"
            raise ModelFileError(f"The vocabulary {what}: it is not BERT's.")
        spare = [f"[PAD{index}]" for index in range(len(words), size)]
        self.texts = [_spelled(word) for word in words] + spare
        self.kinds = [CONTROL if word in SPECIAL else NORMAL for word in words]
        self.kinds += [UNUSED] * len(spare)
        self.special_ids = {
            name: words.index(word) for word, name in SPECIAL.items() if word in words
        }

    @classmethod
    def load(cls, path: Path, size: int) -> WordPieces:
        """ModelFileError if the file is no vocabulary."""
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelFileError(f"Cannot read {path}: {error}.") from error
        return cls(text.removesuffix("\n").split("\n"), size)


def _spelled(word: str) -> str:
    if word in SPECIAL:
        return word
    return word[2:] if word.startswith("##") else WORD_START + word
