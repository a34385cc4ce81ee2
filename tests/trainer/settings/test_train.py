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


def test_the_launcher_puts_local_rank_first() -> None:
    line = arguments(Path("data"), Path("out"))
    assert parse(["--local_rank=1", *line]) == parse(line)


def test_a_split_takes_several_folders() -> None:
    line = arguments(Path("data"), Path("out"))
    assert parse([*line, "--train", "a", "b"]).train == (Path("a"), Path("b"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"precision": "fp16"}, "overflows in fp16"),
        ({"alpha": 1.5}, "--alpha 1.5"),
        ({"zero": 4}, "--zero 4"),
        ({"labels": "silver"}, "--labels silver"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"stepz": 1}, "unrecognized arguments"),
        ({"steps": "many"}, "invalid int value: 'many'"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        _parse(**options)


def test_where_things_lie_does_not_make_another_run() -> None:
    here = parse([*arguments(Path("data"), Path("out")), "--quiet"])
    there = parse([*arguments(Path("elsewhere"), Path("other")), "--force"])
    assert fingerprint(here, "rows") == fingerprint(there, "rows")
    assert fingerprint(here, "rows") != fingerprint(here, "other rows")
    assert fingerprint(here, "rows") != fingerprint(_parse(seed=1), "rows")
