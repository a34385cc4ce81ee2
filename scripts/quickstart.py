"""The whole way in minutes: a simulated teacher annotates, then a tiny student is trained.

    make quickstart

Prints each command before running it, so that it can be taken as a pattern. Run again, it reuses
the answers, the shards and the student that are there.
"""

import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
HOME = "runs/quickstart"
ANNOTATE = f"""
annotate run demo --teacher simulated --split train --split valid --split test
    --store {HOME}/store --out {HOME}/shards
"""
TRAIN = f"""
deepspeed --master_port PORT --log_level error packages/trainer/train.py
    --model tiny --steps 300 --eval-every 50 --output {HOME}/student
    --train {HOME}/shards/train --valid {HOME}/shards/valid --test {HOME}/shards/test
"""
CLOSING = f"""
Answers   {HOME}/store
Shards    {HOME}/shards/{{train,valid,test}}/
Student   {HOME}/student/

Look at the rows, and try the student:
  source .venv/bin/activate
  annotate view {HOME}/shards --store {HOME}/store
  stepdistill serve {HOME}/student/model

The teacher was simulated. With a file of your own, and OPENAI_API_KEY in .env for a real one:
  annotate new mine YOUR.csv
"""


def main() -> int:
    start = time.monotonic()
    step("1/2  The teacher labels 1,700 word problems and says why (simulated: no cost)", ANNOTATE)
    step("2/2  The student, a tiny T5 from scratch, learns to predict and to explain", TRAIN)
    print(f"\nDone in {time.monotonic() - start:.0f} s.\n{CLOSING}")
    return 0


def step(title: str, line: str) -> None:
    command = shlex.split(line.replace("PORT", str(free_port())))
    print(f"\n{title}\n$ {shlex.join(command)}\n", flush=True)
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, check=False)
    if done.returncode:
        sys.exit(f"quickstart: that command failed with exit code {done.returncode}, see above")


def free_port() -> int:
    """A port for the ranks to meet at: DeepSpeed's default is often taken on a shared machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
