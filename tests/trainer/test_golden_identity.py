"""What runs, data, tokens and steps are known by stays what an earlier version knew them by.

What is computed is in `golden/identities.py`, what came of it in `golden/identity.json`. A test
that fails here says that finished runs would be trained again, that a sweep would not know its
folders, or that the same settings would be another run. Where that is meant, and nowhere else:

    python -m tests.journeys.golden.record
"""

import json
import shutil
from pathlib import Path

import pytest

from stepdistill.trainer.main import main
from tests.trainer.golden.identities import EXPECTED, IDENTITIES, line_of, missing_runs, set_out


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_out(tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", IDENTITIES)
def test_it_is_known_by_what_it_was_known_by(name: str) -> None:
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    assert expected.keys() == IDENTITIES.keys()
    assert IDENTITIES[name]() == expected[name]


def test_a_run_that_an_earlier_version_finished_is_not_done_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("finished/model").mkdir()
    Path("finished/model/stepdistill.json").write_text("{}")
    assert main(line_of("plain", "finished")) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert main(line_of("seed", "finished")) == 2


def test_nor_does_a_sweep_do_it_again() -> None:
    [folder] = missing_runs("one.yaml")
    shutil.copytree("finished", folder)
    assert missing_runs("one.yaml") == []
