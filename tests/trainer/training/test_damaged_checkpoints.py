"""Damaged checkpoints: the last whole one is gone on from, or a line says what is wrong."""

import random
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from stepdistill.trainer.main import main
from tests.trainer.made_rows import arguments

RUN = {"steps": 6, "batch_size": 8, "eval_every": 2, "model": "micro", "seed": 3}


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("unbroken")
    assert main([*arguments(data, output, **RUN), "--quiet"]) == 0
    return output


@pytest.fixture
def broken_off(unbroken: Path, tmp_path: Path) -> Path:
    """As a kill right before the end leaves it."""
    shutil.copytree(unbroken / "checkpoints", tmp_path / "out" / "checkpoints")
    return tmp_path / "out"


def content(output: Path) -> tuple[Any, bytes]:
    results = orjson.loads((output / "results.json").read_bytes())
    weights = (output / "model/model.safetensors").read_bytes()
    return (results["history"], results["test"]), weights


def files(output: Path) -> list[Path]:
    return sorted(path for path in (output / "checkpoints").rglob("*") if path.is_file())


def test_two_steps_are_kept_each_with_its_best(unbroken: Path) -> None:
    names = {path.name for path in (unbroken / "checkpoints").iterdir()}
    assert {"step-4", "step-6"} <= names
    for step in ("step-4", "step-6"):
        progress = orjson.loads((unbroken / "checkpoints" / step / "progress.json").read_bytes())
        assert f"best-{progress['ranks'][0]['best_step']}" in names
    assert not (unbroken / "model" / "seals.json").exists()


@pytest.mark.parametrize("how", ["flip", "cut", "empty", "gone"])
def test_the_step_before_a_damaged_one_is_gone_on_from(
    unbroken: Path, broken_off: Path, data: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    state = max((broken_off / "checkpoints/step-6").rglob("*.pt"), key=lambda p: p.stat().st_size)
    hurt(state, how, random.Random(how))
    assert main([*arguments(data, broken_off, **RUN), "--quiet"]) == 0
    said = capsys.readouterr().err
    assert "step-6: damaged" in said and "going on from step-4" in said
    assert content(broken_off) == content(unbroken)


@pytest.mark.parametrize("name", ["step-6", "best-6"])
def test_a_folder_that_has_lost_its_first_file_is_damaged_and_ours(
    broken_off: Path, data: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    within = "progress.json" if name.startswith("step") else "config.json"
    if name == "best-6":  # whichever was the best
        name = max((broken_off / "checkpoints").glob("best-*")).name
    (broken_off / "checkpoints" / name / within).unlink()
    for step in (broken_off / "checkpoints").glob("step-[!6]"):
        shutil.rmtree(step)
    line = [*arguments(data, broken_off, **RUN), "--quiet"]
    assert main(line) == 2
    assert f"{name}: damaged ({within} is not there)" in capsys.readouterr().err
    assert main([*line, "--force"]) == 0


@pytest.mark.parametrize("name", ["step-6", "best-6"])
def test_what_has_lost_its_seals_is_not_taken_for_an_earlier_versions(
    broken_off: Path, data: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "best-6":  # whichever was the best
        name = max((broken_off / "checkpoints").glob("best-*")).name
    (broken_off / "checkpoints" / name / "seals.json").unlink()
    main([*arguments(data, broken_off, **RUN), "--quiet"])
    assert f"{name}: damaged (seals.json is not there)" in capsys.readouterr().err


def test_the_whole_step_before_is_kept_and_not_the_damaged_one(
    broken_off: Path, data: Path
) -> None:
    (broken_off / "checkpoints/step-6/progress.json").write_text("{")
    line = [*arguments(data, broken_off, **RUN, save_every=5), "--quiet"]
    world = stopped_after_one_save(broken_off, line)
    assert world == {"step-4", "step-5"}


def stopped_after_one_save(output: Path, line: list[str]) -> set[str]:
    """The steps that are there when a run is killed behind its first save: at its next validation
    the disk holds a folder where the best student's draft is to be."""
    blocked = output / "checkpoints" / ".best-6.draft"
    blocked.write_text("")
    main(line)
    return {path.name for path in (output / "checkpoints").glob("step-*")}


def test_none_that_is_whole_is_a_line(
    broken_off: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (broken_off / "checkpoints").glob("step-*/progress.json"):
        path.write_text("{")
    assert main([*arguments(data, broken_off, **RUN), "--quiet"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "step-6: damaged" in line and "--force starts again" in line


@pytest.mark.parametrize(
    "seeds", [range(4), pytest.param(range(4, 100), marks=[pytest.mark.slow])], ids=["few", "all"]
)
def test_no_fault_of_a_hundred_is_silently_another_student(
    unbroken: Path, data: Path, tmp_path: Path, seeds: range, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = content(unbroken)
    for seed in seeds:
        draw, output = random.Random(seed), tmp_path / str(seed)
        shutil.copytree(unbroken / "checkpoints", output / "checkpoints")
        for _ in range(draw.choice((1, 1, 2))):
            found = files(output)
            hurt(draw.choice(found), draw.choice(("flip", "cut", "empty", "gone")), draw)
        code = main([*arguments(data, output, **RUN), "--quiet"])
        said = capsys.readouterr().err
        assert "Traceback" not in said
        if code == 0:
            assert content(output) == wanted, seed
        else:
            assert code == 2 and len(said.splitlines()) == 1, (seed, said)
        shutil.rmtree(output)


def hurt(path: Path, how: str, draw: random.Random) -> None:
    """Damage a file."""
    whole = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
        return
    if how == "flip" and whole:
        whole[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
    path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b""}.get(how, bytes(whole)))
