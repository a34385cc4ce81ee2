"""The limit of open files: raised as far as it goes, and kept to where it goes no further."""

import subprocess
import sys

import pytest

CODE = """
import resource
from stepdistill.annotator.teacher.spec import connections_allowed
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(connections_allowed(1024), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "then_soft"),
    [(256, 4096, 1024, 1088), (256, 512, 448, 512), (4096, 4096, 1024, 4096), (64, 64, 1, 64)],
)
def test_connections_follow_the_limit_of_open_files(
    soft: int, hard: int, allowed: int, then_soft: int
):
    code = CODE.format(soft=soft, hard=hard)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(allowed), str(then_soft), str(hard)]
