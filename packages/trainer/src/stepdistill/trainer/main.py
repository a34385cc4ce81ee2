"""From the command line to an exit code: read and check everything, then hand over to run.py.

0: done, or nothing to do. 2: bad input, one line on stderr. Whatever the number of ranks, one of
them speaks.
"""

import os
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import orjson

from stepdistill.common.errors import ConfigError, DistillError
from stepdistill.trainer.data.examples import exam, lesson
from stepdistill.trainer.data.shards import data_fingerprint, read_data
from stepdistill.trainer.errors import Stopped
from stepdistill.trainer.settings.train import (
    CHECKPOINTS_NAME,
    RESULTS_NAME,
    TrainSettings,
    fingerprint,
    parse,
)

COMMANDS = {
    "predict": "stepdistill.trainer.inference.predict",
    "evaluate": "stepdistill.trainer.inference.evaluate",
    "serve": "stepdistill.trainer.inference.serve",
    "sweep": "stepdistill.trainer.study.sweep",
    "track": "stepdistill.trainer.study.track",
    "tables": "stepdistill.trainer.study.tables",
    "plots": "stepdistill.trainer.study.plots",
}
"""What a first word may be, in place of a training run's options, and where it is done."""
_SILENCE_S = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or what the first argument says; the exit code."""
    stand_alone()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given and given[0] in COMMANDS:
            _use(given[0], given[1:])
        else:
            _main(parse(given[1:] if given[:1] == ["train"] else given))
    except Stopped as stopped:
        _say_once(str(stopped))
        return stopped.exit_code
    except DistillError as error:
        _say_once(f"error: {error}")
        return error.exit_code
    return 0


def console_script() -> None:
    """`stepdistill COMMAND ...`; without a command, what there is."""
    raise SystemExit(main(sys.argv[1:] or ["--help"]))


def _use(command: str, arguments: Sequence[str]) -> None:
    """Late imports, as in `_main`: help and wrong options come at once."""
    getattr(import_module(COMMANDS[command]), command)(arguments)


def _main(config: TrainSettings) -> None:
    data = read_data(config)
    mark = fingerprint(config, data_fingerprint(data))
    learn = lesson(data.train, config)
    valid, test = exam(data.valid), exam(data.test)
    if _is_done(config, mark):
        _say(f"nothing to do: {config.output} holds this very run; --force trains again")
        return
    # Late, because torch and its kin take ten seconds to import: a wrong path must not cost that.
    from stepdistill.trainer.run import run
    from stepdistill.trainer.training.prepare import RunInputs
    from stepdistill.trainer.training.report import data_counts

    counts = data_counts(data, learn, valid, test)
    run(
        RunInputs(
            config=config,
            fingerprint=mark,
            lesson=learn,
            valid=valid,
            test=test,
            kind=data.kind,
            origin=data.train.parts[0].manifest,
            counts=counts,
        )
    )


def _is_done(config: TrainSettings, mark: str) -> bool:
    """Whether the output holds this run. Raises ConfigError when it holds another one."""
    path = config.output / RESULTS_NAME
    try:
        config.output.mkdir(parents=True, exist_ok=True)
        if config.force:
            _forget(config.output)
            return False
        if not path.exists():
            return False
        found = orjson.loads(path.read_bytes()).get("fingerprint")
    except (OSError, orjson.JSONDecodeError, AttributeError) as error:
        raise ConfigError(f"--output {config.output}: cannot be used ({error})") from None
    if found != mark:
        raise ConfigError(
            f"{path}: from other settings or data; take another --output, or --force to replace it"
        )
    return True


def _forget(output: Path) -> None:
    """Remove what an earlier run left; one rank does it before any can look."""
    if os.environ["RANK"] == "0":
        (output / RESULTS_NAME).unlink(missing_ok=True)
        shutil.rmtree(output / CHECKPOINTS_NAME, ignore_errors=True)


def stand_alone() -> None:
    """Without a launcher this process is the only rank: say so where DeepSpeed looks."""
    if "RANK" in os.environ:
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    alone = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in alone.items()}
    os.environ["MASTER_ADDR"] = "127.0.0.1"


def _say_once(line: str) -> None:
    """Rank 0 speaks. The launcher ends all ranks when one exits, so the others wait for that.

    A rank that failed alone is not ended in that time, and then speaks for itself.
    """
    if os.environ["RANK"] != "0":
        time.sleep(_SILENCE_S)
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _say(line: str) -> None:
    if os.environ["RANK"] == "0":
        sys.stderr.write(f"{line}\n")
