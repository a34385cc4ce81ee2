"""What can end a training run with one clear line, beside the errors of `common`.

DistillError             common/errors.py, exit code 2
  StudentError           the model or its tokenizer cannot be had or used
  TrainingError          training went wrong: the loss is not finite, the device is too small
  Unfinished             not all is done; the same command does the rest, exit code 3
  RankLost               another rank is gone, or its host; it goes on without, exit code 3
  Stopped                somebody asked the run to stop; it goes on from there, exit code 130
"""

import re
from collections.abc import Generator
from contextlib import contextmanager

from pydantic import ValidationError

from stepdistill.common.errors import ConfigError, DistillError

_TYPE = re.compile(r"(dict|list|tuple|union)\[")


class StudentError(DistillError):
    """The student or its tokenizer cannot be had, or is of a kind that cannot be trained here."""


class TrainingError(DistillError):
    """Training cannot go on."""


class Unfinished(DistillError):
    """Not all is done, and what is done is kept."""

    exit_code = 3


class RankLost(DistillError):
    """Another rank has gone, or its host, or it cannot go on: then the exit code is that rank's.

    of_first: that rank is the one that speaks for all.
    """

    exit_code = 3

    def __init__(self, message: str, exit_code: int = 3, *, of_first: bool = False) -> None:
        super().__init__(message)
        self.exit_code, self.of_first = exit_code, of_first


class Stopped(DistillError):
    """The run was asked to stop, and is saved."""

    exit_code = 130


def first_problem(error: ValidationError, whole: str = "the file") -> str:
    """`where: what is wrong`, of the first thing that is; `whole` stands for no place within."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return f"not JSON ({first['msg'].removeprefix('Invalid JSON: ')})"
    # Of a value that may be of several types pydantic names each, however long: no place in a file.
    places = [str(place) for place in first["loc"] if not _TYPE.match(str(place))]
    return f"{'.'.join(places) or whole}: {first['msg']}"


def first_line(error: BaseException) -> str:
    """The first line of what an error says, its class where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def is_out_of_memory(error: BaseException) -> bool:
    """torch has a class for a GPU's memory; a CPU's allocator has but words of its own."""
    import torch  # takes seconds, but is there already where such an error can be

    classes = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, classes) or "can't allocate memory" in str(error)


@contextmanager
def refused(
    what: object, done: str = "written", kind: type[DistillError] = ConfigError
) -> Generator[None]:
    """An OSError inside becomes one line of that kind: `WHAT: cannot be written (REASON)`."""
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: cannot be {done} ({error.strerror or error})") from None
