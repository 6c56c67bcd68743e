"""Which formats came before GGUF, and what tells them apart: the first four or eight bytes.

The magics are little-endian numbers whose letters, read as a number, spell the format's name.
"""

from __future__ import annotations

from dataclasses import dataclass

from cria.model_file.reader import BadFile

ALIGNMENT = 32
MODEL_MAGICS = (b"lmgg", b"fmgg", b"tjgg")
ADAPTER_MAGIC = b"algg"
STATE_MAGICS = (b"nsgg", b"qsgg")
"""What llama.cpp saves of a session."""
MAGIC_BYTES = 4


@dataclass(frozen=True)
class Format:
    """How a model's file is laid out."""

    name: str
    version: int
    """Of `ggjt`; files of the two older ones have the blocks of its version 1."""
    has_scores: bool = True
    is_aligned: bool = True
    """Whether a tensor's data begins at a multiple of 32 bytes."""


FORMATS: dict[tuple[bytes, int | None], Format] = {
    (b"lmgg", None): Format("ggml", 1, has_scores=False, is_aligned=False),
    (b"fmgg", 1): Format("ggmf", 1, is_aligned=False),
    (b"tjgg", 1): Format("ggjt v1", 1),
    (b"tjgg", 2): Format("ggjt v2", 2),
    (b"tjgg", 3): Format("ggjt v3", 3),
}


def format_of(magic: bytes, version: int | None) -> Format:
    """BadFile if there is no such version; the oldest format has none."""
    found = FORMATS.get((magic, version))
    if magic not in MODEL_MAGICS:
        raise BadFile("it is no llama model from before GGUF")
    if found is None:
        known = sorted(v for m, v in FORMATS if m == magic and v is not None)
        name = magic[::-1].decode()
        raise BadFile(
            f"it says that it is {name} of version {version}, and llama files have only "
            f"{' to '.join(map(str, sorted({known[0], known[-1]})))}"
        )
    return found
