"""From the command line to an exit code, on one rank or many.

0: done, or nothing to do. 2: bad input, one line on stderr. Whatever the number of ranks, one of
them speaks.
"""

import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version

from cyclopts import App

from stepdistill.common import command_line
from stepdistill.common.errors import ConfigError, DistillError
from stepdistill.common.terminal import visible
from stepdistill.trainer.commands import COMMANDS
from stepdistill.trainer.errors import Stopped
from stepdistill.trainer.settings.train import preset_below
from stepdistill.trainer.study.launching import free_port

_ABOUT = "Train a small student on a teacher's labels and rationales, use it, and compare students."
_LOCAL_RANK = ("--local_rank", "--local-rank")
_HELP = ("--help", "-h")
_SILENCE_S = 10.0
# How often one of torch's threads looks for work before it sleeps. By default it looks for as long
# as the others work, and where another process had a core, most of a step was spent on that.
_SPINS = ("GOMP_SPINCOUNT", "5000")
_OF_LAUNCHERS = ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or what the first word says; the exit code."""
    words = _own_words(sys.argv[1:] if arguments is None else arguments)
    is_training = not words or (words[0].startswith("-") and words[0] != "--version")
    return _run(["train", *words] if is_training else words)


def console_script() -> None:
    """`stepdistill COMMAND ...`; without a command, what there is."""
    words = _own_words(sys.argv[1:])
    wants_help = not words or words[0] in _HELP
    raise SystemExit(_run(["--help"]) if wants_help else main(words))


def _run(words: list[str]) -> int:
    if "OMP_WAIT_POLICY" not in os.environ:  # read once, as torch is loaded
        os.environ.setdefault(*_SPINS)
    try:
        # Only training has ranks: another command may be called where a scheduler has set some.
        stand_alone(alone=words[:1] != ["train"])
        if os.environ["RANK"] != "0" and not set(_HELP).isdisjoint(words):
            return 0
        command_line.call(make_app(), words, preset_below)
        sys.stdout.flush()
    except BrokenPipeError:
        return command_line.leave_pipe()
    except Stopped as stopped:
        _say_once(str(stopped))
        return stopped.exit_code
    except DistillError as error:
        _say_once(f"error: {error}")
        return error.exit_code
    return 0


def make_app() -> App:
    """The app with all commands."""
    app = command_line.make_app("stepdistill", _ABOUT, version("stepdistill-trainer"))
    for name, command in COMMANDS.items():
        if isinstance(command, App):
            app.command(command)
        else:
            command_line.add_command(app, command, name)
    return app


def _own_words(arguments: Sequence[str]) -> list[str]:
    """Without the launcher's --local_rank, which it puts first; the environment says the same.

    The tracking file may be named before what `track` is to do.
    """
    words = list(arguments)
    while words and words[0].partition("=")[0] in _LOCAL_RANK:
        del words[: 1 if "=" in words[0] else 2]
    if words[:1] == ["track"]:
        is_verb = [word in ("add", "import", "export") for word in words]
        words = ["track", *([words.pop(is_verb.index(True))] if any(is_verb) else []), *words[1:]]
    return words


def stand_alone(*, alone: bool = False) -> None:
    """Without a launcher this process is the only rank: say so where DeepSpeed looks. alone: with
    one, too. Raises ConfigError: what a launcher has set is not enough, or wrong."""
    if alone or "RANK" not in os.environ:
        os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
        return
    if missing := [name for name in _OF_LAUNCHERS if name not in os.environ]:
        raise ConfigError(
            f"RANK is set and {', '.join(missing)} not: start by `deepspeed` or `torchrun`, or "
            "unset RANK"
        )
    if "LOCAL_RANK" not in os.environ:
        os.environ["LOCAL_RANK"] = _local_rank()
    for name, most in (("RANK", 1 << 20), ("WORLD_SIZE", 1 << 20), ("MASTER_PORT", 65535)):
        value = os.environ[name]
        if not value.isdecimal() or int(value) > most:
            raise ConfigError(f"{name}={value}: not a number from 0 to {most}")


def _local_rank() -> str:
    """This process's place on its host, by whoever started it."""
    for name in ("SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"):
        if name in os.environ:
            return os.environ[name]
    if os.environ["WORLD_SIZE"] == "1":
        return "0"
    raise ConfigError(
        "RANK is set and LOCAL_RANK not, so nobody knows which of its host's devices is whose: "
        "start by `deepspeed` or `torchrun`, or set LOCAL_RANK (0 where each host has one rank)"
    )


def _say_once(line: str) -> None:
    """Rank 0 speaks. The launcher ends all ranks when one exits, so the others wait for that.

    A rank that failed alone is not ended in that time, and then speaks for itself.
    """
    if os.environ["RANK"] not in ("0", ""):
        time.sleep(_SILENCE_S)
    sys.stderr.write(f"{visible(line)}\n")
    sys.stderr.flush()
