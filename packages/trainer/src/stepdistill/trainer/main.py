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
from stepdistill.common.errors import DistillError
from stepdistill.common.terminal import visible
from stepdistill.trainer.commands import COMMANDS
from stepdistill.trainer.errors import Stopped
from stepdistill.trainer.ranks.meeting import leave
from stepdistill.trainer.ranks.peers import says
from stepdistill.trainer.ranks.place import RankPlace, place, stand_alone
from stepdistill.trainer.settings.train import preset_below

_ABOUT = "Train a small student on a teacher's labels and rationales, use it, and compare students."
_LOCAL_RANK = ("--local_rank", "--local-rank")
_HELP = ("--help", "-h")
_SILENCE_S = 10.0
# How often one of torch's threads looks for work before it sleeps. By default it looks for as long
# as the others work, and where another process had a core, most of a step was spent on that.
_SPINS = ("GOMP_SPINCOUNT", "5000")


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
    # What torch logs of the ranks' connections is said in one line here.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    here: RankPlace | None = None
    try:
        # Only training has ranks: another command may be called where a scheduler has set some.
        stand_alone(alone=words[:1] != ["train"])
        here = place()
        if here.rank > 0 and not set(_HELP).isdisjoint(words):
            return 0
        command_line.call(make_app(), words, preset_below)
        sys.stdout.flush()
    except BrokenPipeError:
        return command_line.leave_pipe()
    except DistillError as error:
        line = str(error) if isinstance(error, Stopped) else f"error: {error}"
        _say_once(line, here, error)
        return error.exit_code
    leave(here)
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


def _say_once(line: str, here: RankPlace | None, error: DistillError) -> None:
    """One rank speaks, or one of each host. The launcher ends all ranks when one exits, so the
    others wait for that.

    A rank that failed alone is not ended in that time, and then speaks for itself.
    """
    if here is not None and not says(here, error):
        leave(here, str(error), error.exit_code)
        if isinstance(error, Stopped):  # as all are, at the same step
            return
        time.sleep(_SILENCE_S)
    sys.stderr.write(f"{visible(line)}\n")
    sys.stderr.flush()
    leave(here, str(error), error.exit_code)  # after the line, for it may wait for the others
