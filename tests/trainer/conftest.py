"""Shards of word problems, a tiny student and a process that is its own world."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stepdistill.trainer.data.examples import Example, train_set
from stepdistill.trainer.data.shards import read_data
from stepdistill.trainer.main import main
from stepdistill.trainer.model.student import Student, from_scratch
from stepdistill.trainer.model.tokenizer import train_pieces
from stepdistill.trainer.ranks.place import stand_alone
from stepdistill.trainer.settings.train import SIZES, TrainSettings, parse
from stepdistill.trainer.training.engine import World, start, stop
from tests.trainer.made_rows import arguments, word_problems, write_split

STEPS = 12
RUN = {"steps": STEPS, "batch_size": 8, "eval_every": 6, "log_every": 1, "warmup": 2}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order, and no quarrel over the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.hookimpl(tryfirst=True)  # before the fixtures of a module
def pytest_runtest_setup() -> None:
    """A test of exports leaves torch with as many threads as there are cores: other last bits."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tokenised rows are kept where the tests' files are."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("XDG_CACHE_HOME")
    if before is not None:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train (two shards, some rows unexplained), valid and test."""
    folder = tmp_path_factory.mktemp("data")
    write_split(folder / "train", word_problems("train", 60, unexplained=0.3), shards=2)
    write_split(folder / "valid", word_problems("valid", 12))
    write_split(folder / "test", word_problems("test", 20))
    return folder


@pytest.fixture(scope="session")
def examples(data: Path) -> tuple[Example, ...]:
    config = parse(arguments(data, Path("unused")))
    return train_set(read_data(config).train, config).examples


@pytest.fixture(scope="session")
def student(examples: tuple[Example, ...]) -> Student:
    answers = [one.text for row in examples for one in (*row.labels, *row.rationales)]
    texts = [*answers, *(row.input for row in examples)]
    return from_scratch(SIZES["tiny"], train_pieces(["predict: explain:", *texts]), 0, None)


@pytest.fixture
def world() -> Iterator[World]:
    """This process alone, joined to nobody."""
    stand_alone()
    yield start()
    stop()


@pytest.fixture(scope="session")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainSettings:
    """A whole short run on one rank, in this process."""
    line = arguments(data, tmp_path_factory.mktemp("finished"), **RUN)
    assert main([*line, "--quiet"]) == 0
    return parse(line)


@pytest.fixture
def many_switches() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
