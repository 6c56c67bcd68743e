"""Which magics and versions there are, and what is said of others."""

from __future__ import annotations

import pytest

from cria.legacy.formats import FORMATS, format_of
from cria.model_file.reader import BadFile


def test_the_five_formats() -> None:
    told = {f.name: (f.version, f.has_scores, f.is_aligned) for f in FORMATS.values()}
    assert told == {
        "ggml": (1, False, False),
        "ggmf": (1, True, False),
        "ggjt v1": (1, True, True),
        "ggjt v2": (2, True, True),
        "ggjt v3": (3, True, True),
    }


@pytest.mark.parametrize(("magic", "version"), FORMATS)
def test_magics_spell_the_name_backwards(magic: bytes, version: int | None) -> None:
    assert format_of(magic, version).name.split()[0] == magic[::-1].decode()


@pytest.mark.parametrize(
    ("magic", "version", "words"),
    [
        (b"tjgg", 4, "it is ggjt of version 4, and llama files have only 1 to 3"),
        (b"tjgg", 0, "version 0"),
        (b"fmgg", 2, "it is ggmf of version 2, and llama files have only 1"),
        (b"GGUF", 3, "no llama model from before GGUF"),
        (b"algg", 1, "no llama model from before GGUF"),
    ],
)
def test_others_are_refused(magic: bytes, version: int, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        format_of(magic, version)
