"""A vocabulary of single bytes and a few control tokens, which tokenises as llama.cpp does."""

from __future__ import annotations

import re
from typing import NoReturn

CONTROL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")
BOS, EOS, IM_START, IM_END = range(256, 260)
FIM = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
FIM_IDS = (260, 261, 262)
SEP = IM_END
"""Between two texts, for models that have such a token."""


class FakeVocab:
    """Token ids 0 to 255 are bytes, then come the control tokens."""

    def __init__(
        self,
        *,
        add_bos: bool = False,
        add_eos: bool = False,
        fim: bool = False,
        add_sep: bool = False,
        bos_id: int | None = BOS,
        eos_id: int | None = EOS,
    ) -> None:
        control = CONTROL + (FIM if fim else ())
        self.num_tokens = 256 + len(control)
        self.fim_ids = FIM_IDS if fim else None
        self.bos_id = bos_id
        self.eos_id = eos_id
        self.sep_id: int | None = SEP
        self.end_of_generation_ids = (EOS, IM_END)
        self.pad_id: int | None = None
        self.add_bos = add_bos
        self.add_eos = add_eos
        self.add_sep = add_sep
        self.calls: list[bytes] = []
        data = [bytes([value]) for value in range(256)]
        self.pieces = data + [b""] * len(control)
        self.control_pieces = data + [text.encode() for text in control]

    def tokenize(self, text: bytes, *, add_special: bool, parse_special: bool) -> list[int]:
        self.calls.append(text)
        ids: list[int] = []
        pattern = b"|".join(map(re.escape, self.control_pieces[256:]))
        for part in re.split(b"(" + pattern + b")", text):
            is_control = part in self.control_pieces[256:] and parse_special
            ids += [self.control_pieces.index(part)] if is_control else part
        begin = [BOS] if add_special and self.add_bos else []
        end = [EOS] if add_special and self.add_eos else []
        return begin + ids + end


def no_compiler() -> NoReturn:
    """There is no grammar without a native vocabulary."""
    raise AssertionError("a grammar was compiled")
