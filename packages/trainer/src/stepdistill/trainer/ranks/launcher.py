"""The launcher of this process: where it is gone, its ranks are to stop, and keep what they have.

`deepspeed` is two processes, of which the outer one dies of a signal without telling the inner one,
which has the ranks. `torchrun` is one. Anybody else's death (a shell's, behind `nohup`) means
nothing.
"""

import os
import sys
import threading
import time
from pathlib import Path

from stepdistill.trainer.errors import RankLost

_LOOK_EVERY_S = 1.0
_INNER = "deepspeed.launcher.launch"
_TORCHRUN = ("torchrun", "torch.distributed.run", "torch.distributed.launch")

gone = threading.Event()
"""Set when the launcher is."""
saving = threading.Event()
"""Set while somebody looks at `gone` after every step, keeps what there is, and leaves."""


def watch_launcher(*, speaks: bool) -> None:
    """From now on, see to it that the ranks end where their launcher does. speaks: and say so.

    Where nobody looks, there is nothing to keep yet, or it is kept already: the process ends.
    """
    parents = _launchers()
    if parents:
        threading.Thread(target=_watch, args=(parents, speaks), daemon=True).start()


def _watch(parents: list[tuple[int, int]], speaks: bool) -> None:
    while all(_parent(child) == parent for child, parent in parents):
        time.sleep(_LOOK_EVERY_S)
    if speaks:
        sys.stderr.write("the launcher is gone: its ranks stop\n")
        sys.stderr.flush()
    gone.set()
    if not saving.is_set():
        os._exit(RankLost.exit_code)


def _launchers() -> list[tuple[int, int]]:
    """(process, the launcher that is its parent), from this process up."""
    own, parent = os.getpid(), os.getppid()
    words = _words(parent)
    if any(name in word for word in words for name in _TORCHRUN):
        return [(own, parent)]
    if _INNER not in words:
        return []
    outer = _parent(parent)
    # With several hosts the inner one is a child of a shell that ssh began.
    around = [(parent, outer)] if _is_outer(outer) else _over_ssh(words)
    return [(own, parent), *around]


def _is_outer(process: int) -> bool:
    return any(Path(word).name in ("deepspeed", "ds") for word in _words(process)[:3])


def _over_ssh(inner: list[str]) -> list[tuple[int, int]]:
    """(pdsh, the outer launcher that began it), where they are on this machine: pdsh outlives its
    launcher, and nothing tells the hosts. inner: the command that pdsh has each host carry out."""
    options = (word for word in inner if word.startswith("--"))
    marks = [word for word in options if not word.startswith("--node_rank")]
    for path in Path("/proc").glob("[0-9]*"):
        process = int(path.name)
        first, *words = _words(process) or [""]
        if Path(first).name == "pdsh" and all(mark in " ".join(words) for mark in marks):
            outer = _parent(process)
            return [(process, outer)] if _is_outer(outer) else []
    return []


def _words(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/cmdline").read_text(errors="replace").split("\0")
    except OSError:  # it is gone, or this system has no such files
        return []


def _parent(process: int) -> int:
    if process == os.getpid():
        return os.getppid()
    try:
        state = Path(f"/proc/{process}/stat").read_text(errors="replace")
        return int(state.rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
