"""What a step took is counted when it was stopped and goes on, since its machine is paid for."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from stepdistill.common.own_command import CommandFailed
from stepdistill.trainer.distil.journal import JOURNAL_NAME, Journal, claimed
from stepdistill.trainer.distil.step_runner import StepRunner
from stepdistill.trainer.distil.steps import OutLayout, Step
from stepdistill.trainer.settings.distil import DistilSettings

# Waits, and is stopped (exit code 3) the first time.
_STOPS_ONCE = """
import pathlib, sys, time
time.sleep(0.3)
mark = pathlib.Path(sys.argv[1])
if not mark.exists():
    mark.touch()
    sys.exit(3)
print("{}")
"""


@pytest.mark.parametrize("budget", [None, "2"])
def test_time_of_a_stopped_step_is_kept(tmp_path: Path, budget: str | None) -> None:
    rows = tmp_path / "rows.csv"
    settings = DistilSettings(
        file=rows, teacher="simulated", student="micro", out=tmp_path / "out", budget=budget
    )
    words = (sys.executable, "-c", _STOPS_ONCE, str(tmp_path / "stopped"))
    step = Step(name="train", about="a wait", words=words, inputs=(), products=())

    def runner(lock: int) -> StepRunner:
        return StepRunner(settings, OutLayout(settings.out, "task"), lock)

    with claimed(settings.out) as lock:
        with pytest.raises(CommandFailed, match="exit code 3"):
            runner(lock).do(step)
        after = runner(lock)
        assert after.do(step) == {}
        again = runner(lock)
        assert again.do(step) == {}
    took_s = after.reports[-1].seconds
    assert (took_s >= 0.6) == (budget is not None)
    assert again.reports[-1].seconds == took_s


def test_what_a_replaced_step_took_is_paid_for_too(tmp_path: Path) -> None:
    settings = DistilSettings(
        file=tmp_path / "rows.csv", teacher="t", student="micro", out=tmp_path / "out", budget="2"
    )
    short = "import time; time.sleep(0.2); print('{}')"
    first, other = (
        Step(name="train", about="", words=(sys.executable, "-c", code), inputs=(), products=())
        for code in (short, f"{short} ")
    )
    with claimed(settings.out) as lock:
        runner = StepRunner(settings, OutLayout(settings.out, "task"), lock)
        runner.do(first)
        one_s = runner.paid_s("train")
        assert (runner.replaced_s(first), runner.replaced_s(other)) == (0.0, one_s)
        runner.do(other)
        assert runner.replaced_s(other) == one_s >= 0.2
        assert runner.paid_s("train") >= one_s + 0.2
        runner.do(other)  # done before
        assert runner.replaced_s(other) == one_s


# Says what it does every tenth of a second, as a training does, until it is killed.
_SPEAKS = """
import sys, time
for _ in range(600):
    print("step", file=sys.stderr, flush=True)
    time.sleep(0.1)
"""


def test_time_of_a_killed_step_is_kept(tmp_path: Path) -> None:
    out, started = tmp_path / "out", time.monotonic()
    lines = f"""
        import sys
        from pathlib import Path
        from stepdistill.trainer.distil.journal import claimed
        from stepdistill.trainer.distil.step_runner import StepRunner
        from stepdistill.trainer.distil.steps import OutLayout, Step
        from stepdistill.trainer.settings.distil import DistilSettings
        out = Path({str(out)!r})
        settings = DistilSettings(file=out, teacher="t", student="micro", out=out, budget="2")
        words = (sys.executable, "-c", {_SPEAKS!r})
        step = Step(name="train", about="", words=words, inputs=(), products=())
        with claimed(out) as lock:
            StepRunner(settings, OutLayout(out, "task"), lock).do(step)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(lines)],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while time.monotonic() - started < 30:
            entry = Journal(out).begun("train") if (out / JOURNAL_NAME).exists() else None
            if entry is not None and entry.seconds:
                break
            time.sleep(0.1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    entry = Journal(out).begun("train")
    assert entry is not None and entry.result is None
    assert 1 < entry.seconds < time.monotonic() - started
