from __future__ import annotations

import logging
import os

import pytest

from cria.generation import native_log
from cria.generation.native_log import BURST_LINES, RING_BYTES, NativeLog, make_pipe


def log_of(data: bytes) -> NativeLog:
    reading, writing = make_pipe()
    log = NativeLog(reading)
    os.set_blocking(writing, True)
    os.write(writing, data)
    os.close(writing)
    log.close()
    return log


def test_lines_reach_the_log_with_their_level(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        log = log_of(b"ERROR it is broken\nggml says \x1b[31m\n\nINFO no end")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "it is broken"),
        ("WARNING", "ggml says ?[31m"),
        ("INFO", "no end"),
    ]
    assert log.lines()[0] == "ERROR it is broken"


def test_a_flood_is_cut_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        log = log_of(b"x" * 99 + b"\n" + b"yyy\n" * 60_000)
    assert BURST_LINES <= len(caplog.records) < BURST_LINES + 100
    assert any("too many" in record.getMessage() for record in caplog.records)
    assert len("\n".join(log.lines())) <= RING_BYTES


def test_the_writer_never_waits() -> None:
    reading, writing = make_pipe()
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, b"x" * 65536)
    os.close(reading)
    os.close(writing)


def test_a_line_without_an_end_takes_no_more_than_its_share() -> None:
    log = log_of(b"x" * 300_000)
    assert len(log._begun) <= native_log.MAX_LINE_BYTES
