"""Shards of word problems, a tiny student and a process that is its own world."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.trainer.made_rows import arguments, word_problems, write_split
from trainer.config import TrainConfig, parse
from trainer.data.examples import Example, lesson
from trainer.data.shards import read_data
from trainer.main import main
from trainer.model.student import Student, tiny
from trainer.model.tokenizer import train_pieces

STEPS = 12
RUN = {"steps": STEPS, "batch_size": 8, "eval_every": 6, "log_every": 1, "warmup": 2}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order, and no quarrel over the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
    folders = ([data / "train"], [data / "valid"], [data / "test"])
    return lesson(read_data(*folders).train, "teacher", "step-by-step").examples


@pytest.fixture(scope="session")
def student(examples: tuple[Example, ...]) -> Student:
    texts = [text for row in examples for text in (row.input, row.label, row.rationale) if text]
    return tiny(train_pieces(["predict: explain:", *texts]), 0, None)


@pytest.fixture(scope="session")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """A whole short run on one rank, in this process."""
    line = arguments(data, tmp_path_factory.mktemp("finished"), **RUN)
    assert main([*line, "--quiet"]) == 0
    return parse(line)
