"""Commands as processes: their output, their last words, and what a signal does to them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepdistill.common.own_command import CommandFailed, run_command

PYTHON = Path(sys.executable).name


def test_output_is_kept_and_each_line_of_the_errors_is_told() -> None:
    told: list[str] = []
    code = "import sys; print('out'); print('one\\ntwo', file=sys.stderr); sys.stderr.write('end')"
    done = run_command([PYTHON, "-c", code], told.append)
    assert (done.code, done.output, done.last_words) == (0, "out\n", "end")
    assert told == ["one", "two", "end"]
    assert done.checked() == "out\n"


def test_a_line_is_told_whole_however_long_it_is() -> None:
    lines = ["ü" * 100_000, "é€🎈" * 30_000, "short", "x" * (1 << 17)]
    code = (
        "import sys; sys.stderr.reconfigure(encoding='utf-8'); "
        "sys.stderr.write('\\n'.join(['ü' * 100000, 'é€🎈' * 30000, 'short', 'x' * (1 << 17)]))"
    )
    told: list[str] = []
    done = run_command([PYTHON, "-c", code], told.append)
    assert told == lines
    assert done.last_words == lines[-1]


def test_a_failure_is_said_in_the_commands_own_last_words() -> None:
    code = "import sys; print('error: no such row\\nkilled', file=sys.stderr); sys.exit(3)"
    done = run_command([PYTHON, "-c", code], lambda _: None)
    with pytest.raises(CommandFailed, match=r"^no such row$") as caught:
        done.checked()
    assert caught.value.exit_code == 3
    with pytest.raises(CommandFailed, match="ended with exit code 4"):
        run_command([PYTHON, "-c", "raise SystemExit(4)"], lambda _: None).checked()


def test_a_command_stands_alone_and_not_as_a_rank(tmp_path: Path) -> None:
    code = "import os; print('RANK' in os.environ, os.getcwd())"
    before = os.environ.get("RANK")
    os.environ["RANK"] = "3"
    try:
        done = run_command([PYTHON, "-c", code], lambda _: None, cwd=tmp_path)
    finally:
        os.environ.pop("RANK")
        if before is not None:
            os.environ["RANK"] = before
    assert done.output == f"False {tmp_path}\n"


_WAITING = """
import signal, sys
# Whoever runs these tests in the background has them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from stepdistill.common.own_command import run_command
child = "import signal, sys, time\\n"
child += "leave = lambda *_: print('left', file=sys.stderr) or sys.exit(5)\\n"
child += "signal.signal(signal.SIGTERM, leave); signal.signal(signal.SIGINT, leave)\\n"
child += "print('ready', file=sys.stderr, flush=True); time.sleep(60)"
try:
    run_command([sys.argv[1], "-c", child], lambda line: print(line, flush=True))
except KeyboardInterrupt as interrupt:
    print("interrupted", *interrupt.args, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_command_which_is_waited_for(number: signal.Signals) -> None:
    """A terminal and Jupyter interrupt all of a group; a kill is of one process."""
    began = time.monotonic()
    command = [sys.executable, "-c", _WAITING, PYTHON]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        (os.killpg if number == signal.SIGINT else os.kill)(parent.pid, number)
        told = parent.stdout.read().splitlines()
    assert told == ["left", "interrupted" if number == signal.SIGINT else "interrupted terminated"]
    assert time.monotonic() - began < 30
