"""Numbers that several processes share, and that the death of one does not spoil."""

from __future__ import annotations

import subprocess
import sys

from cria.generation.ledger import NUM_CALLERS, NUM_TIMES, Ledger


def test_one_process_has_no_file() -> None:
    ledger = Ledger()
    assert ledger.fd == -1
    with ledger.locked():
        ledger.count(2, 30)
        assert (ledger.num_sequences, ledger.num_waiting_tokens) == (2, 30)


def test_a_caller_keeps_its_row_as_long_as_it_needs_it() -> None:
    ledger = Ledger()
    row = ledger.find_caller(7, 0.0)
    assert row is not None
    ledger.set_earned(row, 50.0, 0.0)
    assert ledger.find_caller(8, 10.0) != row
    assert ledger.find_caller(7, 10.0) == row
    assert ledger.find_caller(9, 60.0) == row, "whose time has passed"


def test_an_open_request_keeps_the_row_too() -> None:
    ledger = Ledger()
    row = ledger.find_caller(7, 0.0)
    assert row is not None
    ledger.count_open(row, 1)
    assert ledger.find_caller(8, 1e9) != row
    assert ledger.num_open(row) == 1


def test_there_are_so_many_rows_and_no_more() -> None:
    ledger = Ledger()
    for caller in range(1, NUM_CALLERS + 1):
        row = ledger.find_caller(caller, 0.0)
        assert row is not None
        ledger.set_earned(row, 10.0, 0.0)
    assert ledger.find_caller(NUM_CALLERS + 1, 0.0) is None
    assert ledger.find_caller(NUM_CALLERS + 1, 11.0) is not None


def test_the_mean_is_of_the_last_ones() -> None:
    ledger = Ledger()
    assert ledger.mean_time() is None
    ledger.note_end(3.0)
    assert ledger.mean_time() == 3.0
    for _ in range(NUM_TIMES):
        ledger.note_end(1.0)
    assert ledger.mean_time() == 1.0


PROGRAM = """
import sys
from cria.generation.ledger import Ledger
ledger = Ledger(2, 1, int(sys.argv[1]))
for _ in range(2000):
    with ledger.locked():
        row = ledger.find_caller(5, 0.0)
        ledger.count_open(row, 1)
        ledger.set_earned(row, ledger.earned(row)[0] + 1, 9e9)
        ledger.count(1, 2)
"""


def test_processes_share_them_and_one_that_starts_again_starts_from_nothing() -> None:
    ledger = Ledger(2)
    command = [sys.executable, "-c", PROGRAM, str(ledger.fd)]
    with subprocess.Popen(command, pass_fds=(ledger.fd,)) as other:
        for _ in range(2000):
            with ledger.locked():
                row = ledger.find_caller(5, 0.0)
                assert row is not None
                ledger.set_earned(row, ledger.earned(row)[0] + 1, 9e9)
        assert other.wait(60) == 0
    row = ledger.find_caller(5, 0.0)
    assert row is not None
    assert ledger.earned(row)[0] == 4000, "each addition counts"
    assert (ledger.num_sequences, ledger.num_waiting_tokens) == (2000, 4000)
    assert ledger.num_open(row) == 2000
    Ledger(2, 1, ledger.fd)
    assert (ledger.num_sequences, ledger.num_waiting_tokens, ledger.num_open(row)) == (0, 0, 0)
    assert ledger.earned(row)[0] == 4000, "what was taken stays taken"
    ledger.close()
    with ledger.locked():
        ledger.count(-1, 0)
