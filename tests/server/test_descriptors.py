"""How many connections fit into a limit of open files; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import logging, resource
from cria.server.descriptors import connections_that_fit
logging.basicConfig()
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(connections_that_fit({wanted}), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "fitting", "limit"),
    [
        (400, 400, 100, 100, 400),
        (100, 400, 200, 200, 264),
        (100, 400, 1000, 336, 400),
        (64, 64, 1000, 32, 64),
    ],
)
def test_the_limit_is_raised_as_far_as_it_goes(
    soft: int, hard: int, wanted: int, fitting: int, limit: int
) -> None:
    program = PROGRAM.format(soft=soft, hard=hard, wanted=wanted)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == [str(fitting), str(limit)]
    assert ("are served at once" in done.stderr) == (fitting < wanted)
