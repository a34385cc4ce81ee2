"""What a sweep's file asks for, and how a wrong one is refused."""

import inspect
import shutil
import textwrap
from pathlib import Path

import pytest
import yaml

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.commands import sweep_command
from stepdistill.trainer.study.sweep_file import Sweep, read_sweep, words_of

SHARED = {"model": "tiny", "train": "data/train", "valid": "data/valid", "test": ["data/test"]}


@pytest.fixture
def home(data: Path, tmp_path: Path) -> Path:
    shutil.copytree(data, tmp_path / "home" / "data")
    return tmp_path / "home"


def _sweep(home: Path, **parts: object) -> Sweep:
    path = home / "study.yaml"
    whole = {"output": "runs", "options": SHARED, **parts}
    path.write_text(yaml.safe_dump(whole, sort_keys=False))
    return read_sweep(path)


def test_every_combination_and_every_single_run(home: Path) -> None:
    method = {"baseline": {"mode": "standard"}, "distilled": {"batch-size": 8}}
    grid = {"method": method, "lr": [1e-4, "5e-5"], "seed": [0, 1]}
    found = _sweep(home, grid=grid, runs=[{"method": "distilled", "alpha": 0.8}])
    assert len(found.runs) == 9
    assert found.runs[0].choices == {"method": "baseline", "lr": "0.0001", "seed": "0"}
    configs = [run.config for run in found.runs]
    assert [c.mode for c in configs] == ["standard"] * 4 + ["step-by-step"] * 5
    assert [c.lr for c in configs[:4]] == [1e-4, 1e-4, 5e-5, 5e-5]
    assert (configs[-1].alpha, configs[-1].batch_size, configs[-1].lr) == (0.8, 8, None)
    assert found.runs[3].name == "baseline, lr 5e-5, seed 1"


def test_several_grids_share_the_names_of_their_choices(home: Path) -> None:
    method = {"baseline": {"mode": "standard"}, "distilled": {"batch-size": 8}}
    grids = [
        {"method": method, "seed": [0, 1]},
        {"method": ["distilled"], "model": ["micro", "mini"], "seed": [0]},
        {"method": ["distilled"], "seed": [1]},
    ]
    found = _sweep(home, grid=grids)
    assert [run.name for run in found.runs] == [
        *("baseline, seed 0", "baseline, seed 1", "distilled, seed 0", "distilled, seed 1"),
        *("distilled, micro, seed 0", "distilled, mini, seed 0"),
    ]
    assert found.repeated == 1
    assert [run.config.batch_size for run in found.runs] == [32, 32, 8, 8, 8, 8]
    with pytest.raises(ConfigError, match="method: trained is none of baseline, distilled"):
        _sweep(home, grid=[*grids, {"method": ["trained"]}])


def test_paths_are_relative_to_the_file(home: Path) -> None:
    (run,) = _sweep(home, runs=[{"seed": 0}]).runs
    assert run.config.train == (home / "data/train",)
    assert run.folder.parent == home / "runs"
    assert words_of(run.options)[-2:] == ["--seed", "0"]
    assert "--test" in words_of(run.options)


def test_a_run_is_known_by_settings_and_data_wherever_it_lies(home: Path, tmp_path: Path) -> None:
    (before,) = _sweep(home, runs=[{"seed": 0}]).runs
    moved = tmp_path / "moved"
    shutil.move(home, moved)
    (after,) = _sweep(moved, runs=[{"seed": 0, "batch-tokens": 4096}]).runs
    assert after.key == before.key  # what one rank reads at once decides nothing
    (other,) = _sweep(moved, runs=[{"seed": 1}]).runs
    assert other.key != before.key
    manifest = moved / "data/train/manifest.json"
    manifest.write_text(manifest.read_text().replace('"sha256": "', '"sha256": "0', 1))
    (changed,) = _sweep(moved, runs=[{"seed": 0}]).runs
    assert changed.key != before.key


def test_a_folder_keeps_its_name_when_the_file_grows(home: Path) -> None:
    (before,) = _sweep(home, runs=[{"seed": 0}]).runs
    before.folder.mkdir(parents=True)
    both = _sweep(home, grid={"subsample": [1.0, 0.5], "seed": [0]}).runs
    assert both[0].folder == before.folder
    assert both[1].folder.name.startswith("subsample-0.5_seed-0_")


def test_a_run_that_stands_twice_is_one(home: Path) -> None:
    found = _sweep(home, grid={"seed": [0, 1]}, runs=[{"seed": 1}])
    assert (len(found.runs), found.repeated) == (2, 1)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "asks for no run"),
        ({"runs": [{"seed": -1}]}, 'run 1: Invalid value "-1" for --seed. Must be >= 0'),
        ({"runs": [{"sead": 1}]}, "--sead. Did you mean --seed"),
        ({"runs": [{"output": "x"}]}, "output: is the sweep's own"),
        ({"runs": [{"train": "nowhere"}]}, "no manifest"),
        ({"options": {"model": "tiny"}, "runs": [{"seed": 0}]}, "--train is missing"),
        ({"grid": {"how": {"a": {"seed": 1}}}, "runs": [{"how": "b"}]}, "how: b is none of a"),
        ({"grids": {}}, "grids: Extra inputs"),
        ({"grid": {"how": 5}}, "study.yaml: grid.how: Input should be a valid list; "),
    ],
)
def test_a_wrong_file_is_one_line(home: Path, parts: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        _sweep(home, **parts)
    assert "study.yaml" in str(raised.value) and "\n" not in str(raised.value)


def test_names_that_yaml_takes_for_something_else_are_names(home: Path) -> None:
    path = home / "study.yaml"
    _sweep(home, runs=[{"seed": 0}])
    written = "{no: {seed: 1}, yes: {seed: 2}, 1.0: {seed: 3}, 2020-01-02: {seed: 4}, null: {}}"
    head = path.read_text().partition("runs:\n")[0]
    path.write_text(f"{head}grid:\n  reasons: {written}\nruns:\n  - reasons: 'no'\n")
    sweep = read_sweep(path)
    assert [run.choices["reasons"] for run in sweep.runs] == [
        "no",
        "yes",
        "1.0",
        "2020-01-02",
        "null",
    ]
    assert sweep.repeated == 1
    path.write_text(f"{path.read_text()}  - reasons: no\n")
    with pytest.raises(ConfigError, match=r"reasons: False is none of no, yes, .* in quotes"):
        read_sweep(path)


def test_the_example_of_the_help_is_a_sweep(home: Path) -> None:
    for name in ("demo", "demo-third"):
        shutil.copytree(home / "data", home / "runs" / name)
    third = home / "runs/demo-third/train/manifest.json"
    third.write_text(third.read_text().replace('"sha256": "', '"sha256": "0', 1))
    path = home / "study.yaml"
    example = str(inspect.getdoc(sweep_command)).partition("relative to it:")[2]
    path.write_text(textwrap.dedent(example))
    assert len(read_sweep(path).runs) == 2 * 2 * 2 * 3 + 1
