"""What cannot be written is counted, and ends nothing."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cria.server.logs import LineHandler, write
from tests.server.process import REPOSITORY


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("cria", logging.INFO, "f", 1, text, (), None)


@pytest.fixture
def full() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


def test_lost_lines_are_counted_and_told(full: int) -> None:
    reader, writer = os.pipe()
    handler = LineHandler(full)
    for _ in range(3):
        handler.emit(record("lost"))
    assert handler.num_lost == 3
    os.dup2(writer, full)
    handler.emit(record("heard"))
    handler.emit(record("again"))
    lines = os.read(reader, 4096).decode().splitlines()
    assert lines[0] == "(3 lines of the log were lost)"
    assert [line.rpartition(" ")[2] for line in lines[1:]] == ["heard", "again"]
    os.close(reader)
    os.close(writer)


def test_a_reader_that_has_gone_is_no_end() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    handler = LineHandler(writer)
    handler.emit(record("lost"))
    assert handler.num_lost == 1
    os.close(writer)


def test_text_that_is_no_unicode_is_written() -> None:
    reader, writer = os.pipe()
    write(writer, "a\udcffb\n")
    assert os.read(reader, 100) == b"a\\udcffb\n"
    os.close(reader)
    os.close(writer)


def test_a_banner_that_nobody_hears_is_no_end() -> None:
    program = (
        "import click\nfrom cria.server.logs import say_anyway, start\nstart('info')\n"
        "say_anyway(click.echo, 'banner')\nclick.echo('more')"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=REPOSITORY,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 0
    assert "standard output cannot be written" in done.stderr
