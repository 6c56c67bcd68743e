from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource, pathlib
from cria.native.process import become_expendable
become_expendable()
score = pathlib.Path("/proc/self/oom_score_adj").read_text()
print(resource.getrlimit(resource.RLIMIT_CORE)[0], score)
"""


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="not Linux")
def test_no_core_files_and_first_to_go() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    limit, score = map(int, done.stdout.split())
    assert limit == 0 and score >= 500, done.stderr
