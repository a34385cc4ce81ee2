"""A command of ours as a process of its own, as a shell would run it: `annotate`, `deepspeed`."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from types import FrameType
from typing import IO

from stepdistill.common.errors import DistillError

_OF_A_RANK = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_LOOK_EVERY_S = 0.2
_CHUNK_BYTES = 1 << 16
_LAST_S = 10.0  # seconds
_LAST_LINES = 50  # among which the one is that says what went wrong
Tell = Callable[[str], None]


class CommandFailed(DistillError):
    """A command ended with another code than 0; the message is its own last line."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a command ended."""

    words: tuple[str, ...]
    code: int
    output: str  # all of its standard output
    last_words: str  # the line of its standard error that says best what went wrong

    def checked(self) -> str:
        """Its output. Raises CommandFailed unless it ended with 0."""
        if self.code:
            message = self.last_words or f"{self.words[0]} ended with exit code {self.code}"
            raise CommandFailed(message, self.code)
        return self.output


def failure_in(lines: Sequence[str]) -> str:
    """The line that says best what went wrong; empty where there is none."""
    for told in (r"(error|annotate): ", r"\w*(Error|Exception)\b"):
        for line in reversed(lines):
            if re.match(told, line):
                return re.sub(r"^(error|annotate): ", "", line)
    return lines[-1] if lines else ""


def run_command(
    words: Sequence[str], tell: Tell, *, cwd: Path | None = None, fds: Sequence[int] = ()
) -> Finished:
    """Run a command to its end. tell: gets each line of its standard error as it comes.

    fds: file descriptors that it inherits. Raises KeyboardInterrupt as `run_to_end` does.
    """
    # Files and not pipes: a command outlives whoever waits for it, and can still say how it went.
    with TemporaryFile() as out, TemporaryFile() as err:
        lines = _Lines(err, tell)
        try:
            code = run_to_end(words, (out, err), lines.tell_new, cwd=cwd, fds=fds)
        finally:
            lines.tell_new(is_over=True)
        out.seek(0)
        output = out.read().decode(errors="replace")
    last = failure_in(list(lines.last))
    return Finished(words=tuple(words), code=code, output=output, last_words=last)


async def run_in_background(words: Sequence[str]) -> Finished:
    """Run a command to its end while others are served. Cancelled, it is terminated, and waited
    for some seconds: what it has paid for is to be kept."""
    with TemporaryFile() as out, TemporaryFile() as err:
        child = await asyncio.create_subprocess_exec(
            _program(words),
            *words[1:],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=_environment(),
        )
        try:
            code = await child.wait()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                child.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), _LAST_S)
            with suppress(ProcessLookupError):
                child.kill()
            raise
        out.seek(0)
        err.seek(0)
        output, told = (file.read().decode(errors="replace") for file in (out, err))
    lines = [line.strip() for line in told.splitlines() if line.strip()][-_LAST_LINES:]
    return Finished(words=tuple(words), code=code, output=output, last_words=failure_in(lines))


def run_to_end(
    words: Sequence[str],
    files: tuple[IO[bytes], IO[bytes]],
    meanwhile: Callable[[], None],
    *,
    cwd: Path | None = None,
    fds: Sequence[int] = (),
) -> int:
    """Run a command to its end; its exit code. files: where its output and its errors go.

    meanwhile: called now and then. SIGTERM is handed on and waited for; Ctrl-C reaches the command
    by itself, and a second one is handed on. Both then raise KeyboardInterrupt.
    """
    with _terminated_as_interrupted():
        child = _started(words, files, cwd, fds)
        try:
            while child.poll() is None:
                meanwhile()
                with suppress(subprocess.TimeoutExpired):
                    child.wait(_LOOK_EVERY_S)
            return child.returncode
        except KeyboardInterrupt as interrupt:
            if interrupt.args:
                child.send_signal(signal.SIGTERM)
            try:
                child.wait()
            except KeyboardInterrupt:
                child.send_signal(signal.SIGINT)
            raise


def _started(
    words: Sequence[str],
    files: tuple[IO[bytes], IO[bytes]],
    cwd: Path | None,
    fds: Sequence[int],
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [_program(words), *words[1:]],
        stdin=subprocess.DEVNULL,
        stdout=files[0],
        stderr=files[1],
        env=_environment(),
        cwd=cwd,
        pass_fds=fds,
    )


_BESIDE = Path(sys.executable).parent  # our own commands are installed there


def _program(words: Sequence[str]) -> str:
    program = _BESIDE / words[0]
    return str(program) if program.exists() else words[0]


def is_installed(program: str) -> bool:
    """Whether there is such a command, beside ours or on the PATH."""
    return (_BESIDE / program).exists() or shutil.which(program) is not None


def _environment() -> dict[str, str]:
    world = {name: value for name, value in os.environ.items() if name not in _OF_A_RANK}
    return {**world, "PATH": f"{_BESIDE}{os.pathsep}{os.environ.get('PATH', '')}"}


@contextmanager
def _terminated_as_interrupted() -> Generator[None]:
    """SIGTERM raises KeyboardInterrupt with an argument; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt("terminated")


class _Lines:
    """The lines that a file grows by."""

    def __init__(self, file: IO[bytes], tell: Tell) -> None:
        self._file, self._tell, self._read, self._begun = file, tell, 0, b""
        self.last = deque[str](maxlen=_LAST_LINES)  # that say something

    def tell_new(self, *, is_over: bool = False) -> None:
        """Tell the whole lines that were not told yet; where it is over, what is left, too."""
        # The command writes where this file's reader stands: reading must not move that.
        while new := os.pread(self._file.fileno(), _CHUNK_BYTES, self._read):
            self._read += len(new)
            # A line may be longer than what is read at a time, and a letter end in the next.
            lines, newline, self._begun = (self._begun + new).rpartition(b"\n")
            self._tell_lines(lines + newline)
        if is_over:
            self._tell_lines(self._begun)
            self._begun = b""

    def _tell_lines(self, lines: bytes) -> None:
        for line in lines.decode(errors="replace").splitlines():
            if line.strip():
                self.last.append(line.strip())
            self._tell(line)
