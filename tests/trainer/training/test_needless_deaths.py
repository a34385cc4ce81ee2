"""What must not end a training, or ends it in one line: trackers, schedulers, a second start."""

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.locks import claim
from stepdistill.trainer.main import main
from stepdistill.trainer.ranks.place import stand_alone
from stepdistill.trainer.training.checkpoint import TrainPoint
from stepdistill.trainer.training.progress import MetricsLogger
from tests.trainer.launching import TRAIN, environment
from tests.trainer.made_bases import made_base
from tests.trainer.made_rows import CLASSES, arguments, word_problems, write_split

RUN = {"steps": 2, "batch_size": 8, "eval_every": 1, "log_every": 1, "model": "micro"}
_TRACKER = """
def init(**_):
    if {at_start}:
        raise RuntimeError("No API key configured.\\nUse wandb login")
def log(figures, step):
    raise ConnectionError("Max retries exceeded")
"""


@pytest.fixture
def wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Somebody's client, whose server is away: at the start, or later."""
    (tmp_path / "wandb.py").write_text(_TRACKER.format(at_start=request.param))
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("wandb", None)


@pytest.mark.parametrize("wandb", [True], indirect=True)
@pytest.mark.usefixtures("wandb")
def test_a_tracker_without_a_key_is_a_line_at_the_start(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments(data, tmp_path / "out", **RUN), "--track", "wandb"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "--track wandb: cannot be started (No API key configured.)" in line


@pytest.mark.parametrize("wandb", [False], indirect=True)
@pytest.mark.usefixtures("wandb")
def test_a_tracker_that_goes_away_is_said_once(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [*arguments(data, tmp_path / "out", **RUN), "--track", "wandb", "--quiet"]
    assert main(line) == 0
    said = capsys.readouterr().err
    assert said.count("wandb: no more figures go there (Max retries exceeded)") == 1


def test_curves_that_cannot_be_written_hold_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with MetricsLogger(tmp_path, (), quiet=False) as metrics:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))  # as on a full disk
        try:
            for step in range(1_000):
                point = TrainPoint(step=step, loss=1.0, losses={}, grad_norm=1.0, lr=0.1)
                metrics(step, point, None)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert capsys.readouterr().err.count("no more figures go there (") == 1


def test_a_second_training_in_one_folder_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with claim(tmp_path):
        assert main([*arguments(data, tmp_path, **RUN), "--quiet"]) == 2
    assert "another training is at work there" in capsys.readouterr().err
    assert main([*arguments(data, tmp_path, **RUN), "--quiet"]) == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, ""),
        ({"WORLD_SIZE": "2"}, "RANK is set and LOCAL_RANK not"),
        ({"MASTER_PORT": "70000"}, "MASTER_PORT=70000: not a number"),
        ({"MASTER_ADDR": ""}, "RANK is set and MASTER_ADDR not"),
    ],
)
def test_a_scheduler_that_sets_no_local_rank(
    more: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29790"}
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    for name, value in {**given, **more}.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    if said:
        with pytest.raises(ConfigError, match=said):
            stand_alone()
    else:
        stand_alone()
        assert os.environ["LOCAL_RANK"] == "0"


def test_a_reader_who_has_had_enough_ends_a_command_quietly() -> None:
    whole = f"{sys.executable} {TRAIN} --help | head -c 10"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {whole}"],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode in (0, 1, 141)  # 1 is what rich leaves with


def test_a_base_that_was_replaced_is_another_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [*CLASSES, "predict: explain:", *(r.input["question"] for r in word_problems("t", 20))]
    base = made_base("t5", tmp_path / "base", texts)
    line = [*arguments(data, tmp_path / "out", **{**RUN, "model": base}), "--quiet"]
    assert main(line) == 0
    base.rename(tmp_path / "elsewhere")
    moved = [word.replace(str(base), str(tmp_path / "elsewhere")) for word in line]
    assert main(moved) == 0
    assert "nothing to do" in capsys.readouterr().err
    made_base("t5 v1.1", base, texts)
    assert main(line) == 2
    assert "from other settings or data" in capsys.readouterr().err


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_few_rows_are_put_aside_or_said_to_be_too_few(
    data: Path, tmp_path: Path, rows: int, capsys: pytest.CaptureFixture[str]
) -> None:
    train = write_split(tmp_path / "train", word_problems("train", rows))
    line = [word for word in arguments(data, tmp_path / "out", **RUN) if "--valid" not in word]
    line[0] = f"--train={train}"
    assert main([*line, "--quiet"]) == (2 if rows == 1 else 0)
    said = capsys.readouterr().err
    if rows == 1:
        assert "1 row has a gold label, too few to put some aside" in said
    else:
        results: Any = orjson.loads((tmp_path / "out/results.json").read_bytes())
        assert results["data"]["valid"]["used"] == 1
