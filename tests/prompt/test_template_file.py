from __future__ import annotations

from pathlib import Path

import pytest

from cria.errors import SetupError
from cria.prompt.template_file import MAX_BYTES, read_template
from tests.prompt import templates
from tests.prompt.hostile import LONG


def test_a_file_is_a_template(tmp_path: Path) -> None:
    path = tmp_path / "chat.jinja"
    path.write_text("\ufeff" + templates.TOOLS)
    assert read_template(str(path)) == templates.TOOLS


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "it is empty"),
        (b"\xff", "not UTF-8"),
        (b"{% if %}", "it does not compile: Expected an expression"),
        (b"{{ a", r"end of print statement'\.$"),
        (b"a" * (MAX_BYTES + 1), f"more than {MAX_BYTES} bytes"),
        (LONG["nested loops"].encode(), "it takes too long or too much memory"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "chat.jinja"
    path.write_bytes(data)
    with pytest.raises(SetupError, match=sentence) as caught:
        read_template(str(path))
    assert str(caught.value).startswith(f"--chat-template {path}")


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(SetupError, match="cannot be read: "):
        read_template(str(tmp_path / name))
