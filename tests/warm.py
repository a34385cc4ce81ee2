"""A process that has a command imported, and forks for each call of it.

A command starts with half a second of imports (with torch: five), and then often works for
milliseconds; here its start is a fork. What comes of it is a process like any other: words, folder,
environment, streams, signals, exit code and the way it ends are its own. What all of them share is
the seed of their hashes. Tests about starting, terminals and pipes call what is installed.

`WarmProcess` is for the tests; run as a script, this file is the process.
"""

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import IO, Any

_LONGEST = 1 << 17  # bytes of words and environment
_NOT_OURS = ("OPENAI_API_KEY", "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def plain_environment(**more: str) -> dict[str, str]:
    """This process's own, without a key and what makes a rank; one thread, on the CPU."""
    ours = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
    return {**ours, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu", **more}


@dataclass(frozen=True, slots=True)
class Call:
    """A running call of a command, in a process of its own."""

    pid: int
    end: socket.socket  # tells its exit code
    out: IO[bytes]
    err: IO[bytes]

    def wait(self, timeout_s: float = 280) -> subprocess.CompletedProcess[str]:
        """How it ended; -N is signal N. Only once. It is killed if it takes longer than that."""
        self.end.settimeout(timeout_s)
        with self.end, self.out, self.err:
            try:
                code = int(self.end.recv(20))
            except TimeoutError:
                self.kill()
                raise
            return subprocess.CompletedProcess((), code, *map(_whole, (self.out, self.err)))

    def errors(self) -> str:
        """What is on its standard error so far."""
        return os.pread(self.err.fileno(), 1 << 20, 0).decode()

    def kill(self) -> None:
        """kill -9, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def _whole(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


class WarmProcess:
    """The process as its callers see it. Several threads may call at once."""

    def __init__(self, command: str, entry: str, *modules: str) -> None:
        """command: its name; entry: its `module:function`; modules: what it imports on its way,
        `package.*` is all of a package; nothing that reads an environment of a call's own."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            line = [sys.executable, "-P", __file__, str(theirs.fileno()), command, entry, *modules]
            self._process = subprocess.Popen(
                line, env=plain_environment(), pass_fds=[theirs.fileno()]
            )

    def start(
        self,
        *words: str | Path,
        cwd: Path,
        env: dict[str, str],
        streams: Mapping[int, IO[bytes]] | None = None,
    ) -> Call:
        """A call of the command. streams: what its standard input (0; else it is empty) or output
        (1; else it is kept) is."""
        call = {"words": [str(word) for word in words], "cwd": str(cwd), "env": env}
        message = json.dumps(call).encode()
        assert len(message) < _LONGEST, "too many words for one message"
        # A message each: the number of a process that has ended is not read with its exit code.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - Call's
        with theirs, Path(os.devnull).open("rb") as nothing:
            files = {0: nothing, 1: out, 2: err, **(streams or {}), 3: theirs}
            descriptors = [files[number].fileno() for number in range(4)]
            socket.send_fds(self._control, [message], descriptors)
        return Call(int(ours.recv(20)), ours, out, err)

    def finish(
        self, folder: Path, *commands: tuple[str | Path, ...]
    ) -> list[subprocess.CompletedProcess[str]]:
        """Calls of the command in a folder, one after the other; all of them end with 0."""
        done: list[subprocess.CompletedProcess[str]] = []
        for words in commands:
            done.append(self.start(*words, cwd=folder, env=plain_environment()).wait())
            assert done[-1].returncode == 0, (words, done[-1].stderr)
        return done

    def close(self) -> None:
        """End the process; no call is running."""
        self._control.close()
        self._process.wait(timeout=60)


def _next_call(control: socket.socket) -> dict[str, Any] | None:
    """In a process of its own: what it is called with. None: nobody calls any more."""
    running: dict[int, tuple[int, socket.socket]] = {}  # by the descriptor that tells of its end
    while True:
        for ready in select.select([control.fileno(), *running], [], [])[0]:
            if ready in running:
                pid, caller = running.pop(ready)
                os.close(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with caller, suppress(BrokenPipeError):  # it waits no longer
                    caller.send(str(code).encode())
                continue
            message, files, _, _ = socket.recv_fds(control, _LONGEST, 4)
            if not message:
                return None
            caller = socket.socket(fileno=files.pop())
            if not (pid := os.fork()):
                for number, file in enumerate(files):
                    os.dup2(file, number)
                for each in (control, caller, *(one for _, one in running.values())):
                    each.close()
                for file in (*files, *running):
                    os.close(file)
                return json.loads(message)
            for file in files:
                os.close(file)
            caller.send(str(pid).encode())
            running[os.pidfd_open(pid)] = pid, caller


def _load(name: str) -> None:
    package = name.removesuffix(".*")
    module = import_module(package)
    for each in walk_packages(module.__path__, f"{package}.") if package != name else ():
        import_module(each.name)


def _main(control: str, command: str, entry: str, *modules: str) -> None:
    module, _, function = entry.partition(":")
    called = getattr(import_module(module), function)
    for name in modules:
        _load(name)
    gc.collect()
    gc.freeze()  # or else each process copies what was imported, to collect nothing of it
    call = _next_call(socket.socket(fileno=int(control)))
    if call is not None:
        # Whether the old ones can seek and are terminals is what they were as the process started.
        sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
        os.chdir(call["cwd"])
        os.environ.clear()
        os.environ.update(call["env"])
        sys.argv = [str(Path(sys.executable).with_name(command)), *call["words"]]
        sys.exit(called())


if __name__ == "__main__":
    _main(*sys.argv[1:])
