"""The guide's commands, copied out of it and run by a shell, as its reader would."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from stepdistill.annotator.simulator.server import Simulator
from stepdistill.common.files.row_file import read_file
from stepdistill.trainer.ranks.place import free_port
from tests.journeys.conftest import ROOT

GUIDE = ROOT / "docs" / "guide"
BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
SET_UP = "make setup\nsource .venv/bin/activate\n"


def commands(page: str) -> list[str]:
    """The blocks of a page."""
    return BLOCK.findall((GUIDE / page).read_text(encoding="utf-8"))


def walk() -> list[str]:
    """From a CSV to a student; the set-up is left out: these tests run in what it makes."""
    first, *others = commands("first-project.md")
    assert first == SET_UP
    return others


# All pages train at the same port, and two tests may be at work at once.
OWN_PORT = 'deepspeed() { command deepspeed --master_port "$FREE_PORT" "$@"; }'


def follow(blocks: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    """Run blocks in a folder that has what a clone has, and stop where one fails."""
    if not (home / "docs").exists():
        (home / "docs").symlink_to(ROOT / "docs")
    (home / "packages").symlink_to(ROOT / "packages")
    made = shutil.ignore_patterns("tickets")  # by whoever followed the guide here before
    shutil.copytree(ROOT / "prompts", home / "prompts", ignore=made)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    alone = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "OPENAI_API_KEY"}
    environment = {name: value for name, value in os.environ.items() if name not in alone}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join([OWN_PORT, *blocks])],
        cwd=home,
        env={**environment, "PATH": path, "OMP_NUM_THREADS": "1", "FREE_PORT": free_port()},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def test_the_annotators_half_of_the_guide(tmp_path: Path) -> None:
    half = [block for block in walk() if block.startswith("annotate ")]
    done = follow(half, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "tickets" / "cost.html").exists()
    assert (tmp_path / "runs" / "tickets" / "test" / "manifest.json").exists()


def test_the_guide_to_sureness(tmp_path: Path) -> None:
    done = follow(commands("sureness.md"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "by logprobs, of 300 labels with gold: ECE" in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_guide(tmp_path: Path) -> None:
    done = follow(walk(), tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"label":"account"' in done.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_on_files_without_labels(tmp_path: Path) -> None:
    done = follow(commands("unlabelled.md"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no row has a gold label: right is what the teacher says" in done.stdout
    answer = json.loads(done.stdout.splitlines()[-1])["answers"][0]
    assert answer["label"] in ("billing", "delivery", "returns", "account")
    files = [tmp_path / "runs" / "mails" / name for name in ("labelled.csv", "predicted.csv")]
    given = list(read_file(GUIDE / "tickets.csv"))
    for file in files:
        assert [{c: row[c] for c in given[0]} for row in read_file(file)] == given


@pytest.mark.slow
def test_the_page_on_prompts(tmp_path: Path) -> None:
    done = follow(commands("prompts.md"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures" / "running-best.svg").exists()


@dataclass(frozen=True, slots=True)
class Structured:
    """A model on a server of one's own: every answer is JSON, and says the same."""

    def answer(self, body: Mapping[str, object]) -> str:
        return '{"rationale": "The message is about a bill.", "label": "billing"}'


async def test_the_page_on_ones_own_server(tmp_path: Path) -> None:
    async with Simulator(Structured()) as server:
        blocks = [
            block.replace("http://localhost:8080/v1", server.base_url)
            for block in commands("own-server.md")
        ]
        done = await asyncio.to_thread(follow, blocks, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(server.log.entries) == 48
    manifest = json.loads((tmp_path / "runs/tickets/train/manifest.json").read_bytes())
    assert manifest["counts"]["records"] == 48
    assert "cost" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_on_training(tmp_path: Path) -> None:
    done = follow(commands("training.md"), tmp_path)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "runs" / "fading" / "results.json").read_bytes())
    assert [task["schedule"] for task in results["tasks"]] == ["constant", "fade"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_on_twenty_dollars(tmp_path: Path) -> None:
    done = follow(commands("twenty-dollars.md"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "20.0000 USD in all, and never more:" in done.stderr
    assert (tmp_path / "runs" / "rehearsal" / "frontier.svg").exists()
    assert len(done.stdout.splitlines()[-1].split(",")) > 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_on_the_whole_way(tmp_path: Path) -> None:
    done = follow(commands("distil.md"), tmp_path)
    assert done.returncode == 0, done.stderr
    page = (GUIDE / "distil.md").read_text(encoding="utf-8")
    # What only an option makes says so: `with --baseline`.
    table = re.findall(r"^\| `([^|]+)` \|(?!.*, with `--)", page, re.MULTILINE)
    named = [name for line in table for name in line.split("`, `")]
    assert all((tmp_path / "runs" / "rehearsal" / name).exists() for name in named), named


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_cascades(tmp_path: Path) -> None:
    done = follow(commands("cascade.md"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "at least 70.0% are right" in done.stdout
    rows = list(read_file(tmp_path / "runs" / "answered.csv"))
    assert {row["answered_by"] for row in rows} == {"student", "teacher"}
    assert (tmp_path / "runs" / "answered.csv.deferred" / "rows.jsonl").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_studies_at_toy_size(tmp_path: Path) -> None:
    """Its own file, with four steps a run and one seed."""
    path = tmp_path / "docs" / "guide" / "demo-sweep.yaml"
    path.parent.mkdir(parents=True)
    study = yaml.safe_load((GUIDE / path.name).read_text(encoding="utf-8"))
    study["options"] |= {"steps": 4, "eval_every": 2}
    for grid in study["grid"]:
        grid["seed"] = [0]
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    done = follow(commands("studies.md"), tmp_path)
    assert done.returncode == 0, done.stderr
    drawn = sorted(file.stem for file in (tmp_path / "figures").glob("*.svg"))
    kinds = ("rationale-length", "rationale-rate", "size", "subsample")
    assert drawn == [f"accuracy-by-{kind}-demo" for kind in kinds]
