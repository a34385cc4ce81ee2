"""The command line."""

import re
from pathlib import Path

import pytest

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.settings.train import TrainSettings, fingerprint, parse
from tests.trainer.made_rows import arguments


def _parse(**options: object) -> TrainSettings:
    return parse(arguments(Path("data"), Path("out"), **options))


def test_defaults_are_those_of_the_model() -> None:
    assert _parse().peak_lr == 3e-3
    assert _parse(model="google/t5-v1_1-small").peak_lr == 3e-4
    assert _parse(model="mini").peak_lr == 7e-4
    assert _parse(model="mini", lr=1e-4).peak_lr == 1e-4


def test_an_option_that_is_given_twice_is_what_it_was_given_last() -> None:
    line = [*arguments(Path("data"), Path("out")), "--steps=3", "--quiet", "--train", "a", "b"]
    found = parse([*line, "--steps", "4", "--quiet", "--train=c"])
    assert (found.steps, found.quiet, found.train) == (4, True, (Path("c"),))


def test_a_preset_is_below_a_settings_file_which_is_below_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        "train: [rows, more.jsonl]\nvalid: [valid]\ntest: /test\npreset: original\n"
        "batch-size: 16\nsteps: 7\n"
    )
    found = parse([f"--config={file}", "--model=tiny", "--output=out", "--steps=8"])
    assert found.train == (tmp_path / "rows", tmp_path / "more.jsonl")
    assert (found.valid, found.test) == ((tmp_path / "valid",), (Path("/test"),))
    assert (found.lr, found.batch_size, found.steps) == (5e-5, 16, 8)


def test_a_split_takes_several_folders() -> None:
    line = arguments(Path("data"), Path("out"))
    assert parse([*line, "--train", "a", "b"]).train == (Path("a"), Path("b"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp16"}, "overflows in fp16"),
        ({"alpha": 1.5}, '"1.5" for --alpha. Must be <= 1'),
        ({"zero": 4}, '"4" for --zero'),
        ({"labels": "silver"}, '"silver" for --labels. Choose from: "teacher", "gold"'),
        ({"batch_size": 0}, '"0" for --batch-size. Must be >= 1'),
        ({"stepz": 1}, "--stepz. Did you mean --steps?"),
        ({"steps": "many"}, '--steps: unable to convert "many" into int'),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        _parse(**options)


def test_where_things_lie_does_not_make_another_run() -> None:
    here = parse([*arguments(Path("data"), Path("out")), "--quiet"])
    there = parse([*arguments(Path("elsewhere"), Path("other")), "--force"])
    assert fingerprint(here, "rows") == fingerprint(there, "rows")
    assert fingerprint(here, "rows") != fingerprint(here, "other rows")
    assert fingerprint(here, "rows") != fingerprint(_parse(seed=1), "rows")
