from __future__ import annotations

from click.testing import CliRunner

from cria.access_key import digest_of
from cria.cli.keys import command


def test_a_key_and_the_line_that_knows_it() -> None:
    key, line = CliRunner().invoke(command, ["alice"]).output.splitlines()
    assert key.startswith("sk-cria-") and len(key) > 40
    assert line == f"sha256:{digest_of(key)} name=alice"


def test_each_is_another_one() -> None:
    first, second = (CliRunner().invoke(command, []).output for _ in range(2))
    assert first != second and "name=" not in first


def test_a_name_that_the_file_would_not_take() -> None:
    assert CliRunner().invoke(command, ["a b"]).exit_code == 2
