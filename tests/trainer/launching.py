"""The real `deepspeed` launcher, as the tests call it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

TRAIN = Path(__file__).parents[2] / "packages" / "trainer" / "train.py"
TWO_RANKS = ("--num_gpus", "2")
_OF_A_RANK = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def free_port() -> str:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """This process's own, but for what makes it a rank; one thread, on the CPU."""
    ours = {name: value for name, value in os.environ.items() if name not in _OF_A_RANK}
    return ours | {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"} | more


def python(home: Path, *line: str | Path, timeout_s: float = 200) -> str:
    """`python LINE` in a folder, to its end: what it printed. Whatever fails is said as it was."""
    done = subprocess.run(
        [sys.executable, *map(str, line)],
        cwd=home,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def launch(
    *line: str, options: tuple[str, ...] = TWO_RANKS, port: str | None = None
) -> subprocess.Popen[str]:
    """`deepspeed OPTIONS packages/trainer/train.py LINE`, in a session of its own."""
    beside = Path(sys.executable).parent
    command = [beside / "deepspeed", *options, "--master_port", port or free_port(), TRAIN, *line]
    return subprocess.Popen(
        command,
        # On several hosts the launcher calls `deepspeed` and python by their names.
        env=environment(PATH=f"{beside}{os.pathsep}{os.environ['PATH']}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
