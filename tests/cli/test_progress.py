"""The bar and the lines of a fetch."""

from __future__ import annotations

import pytest

from cria.cli import progress

TOTAL = 100_000_000


def test_lines_are_few_and_end_with_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    report = progress.make_progress("m")
    for share in range(101):
        report(share * TOTAL // 100, TOTAL)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Fetching m: 0 of 100 MB"
    assert lines[-1] == "Fetching m: 100 of 100 MB"
    assert len(lines) == 5


def test_on_a_terminal_it_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    report = progress.make_progress("m")
    for share in (0, 50, 100):
        report(share * TOTAL // 100, TOTAL)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "[###############---------------] 50 of 100 MB" in shown
    assert shown.endswith("[##############################] 100 of 100 MB\n")
