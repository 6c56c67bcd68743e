"""Runs of one kind of character, where the vocabulary splits text with regular expressions that
take stack for each character of them: the process would end.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from gguf import GGUFWriter

from tests.real_server import PATIENCE_SECONDS, REPOSITORY

pytestmark = [pytest.mark.hostile, pytest.mark.integration]

CHARACTERS = "a1! \u4e2d\U0001f642"

CHILD = """
import sys
from cria.prompt.loading import load_text_side
from cria.prompt.tokenizer import RUN_LENGTH
from cria.server.serve import offload, prepare

def tokenise():
    for char in sys.argv[2]:
        text = char * (2 * RUN_LENGTH - 1)  # the longest that may come through
        assert vocab.tokenize(text.encode(), add_special=False, parse_special=True)
    print("all of them")

prepare("error")
vocab = load_text_side(sys.argv[1], None).tokenizer._vocab
offload(tokenise)
"""


def byte_names() -> list[str]:
    """How a vocabulary of GPT-2's kind writes the 256 bytes."""
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(b if b in plain else 256 + others.index(b)) for b in range(256)]


@pytest.fixture
def byte_vocabulary(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file with nothing but a vocabulary of bytes, and the splitting of a known model."""
    path = tmp_path / "vocabulary.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(request.param)
    writer.add_token_list([*byte_names(), "<|end|>"])
    writer.add_token_types([1] * 256 + [3])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(256)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("byte_vocabulary", ["deepseek-llm", "falcon"], indirect=True)
def test_long_runs_do_not_end_the_process(byte_vocabulary: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(byte_vocabulary), CHARACTERS],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (child.returncode, child.stdout) == (0, "all of them\n"), child.stderr[-2000:]
