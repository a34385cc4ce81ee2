"""What is kept: the best weights while training, then the model's folder. Files appear whole."""

import os
from pathlib import Path

import torch

from trainer.model.student import Student
from trainer.training.engine import Engine

Weights = dict[str, torch.Tensor]


def copy_weights(engine: Engine) -> Weights:
    """The student's weights now, on the CPU; tied ones once."""
    with engine.whole_model() as losses:
        return {
            name: weight.detach().to("cpu", copy=True)
            for name, weight in losses.student.named_parameters()
        }


def restore(engine: Engine, weights: Weights) -> None:
    """Put copied weights back. For judging: the optimizer knows nothing of it."""
    with engine.whole_model(changed=True) as losses, torch.no_grad():
        for name, weight in losses.student.named_parameters():
            weight.copy_(weights[name])


def save_student(student: Student, weights: Weights, folder: Path) -> None:
    """A folder for AutoModelForSeq2SeqLM and AutoTokenizer."""
    student.model.save_pretrained(folder, state_dict=weights)
    student.tokenizer.save_pretrained(folder)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is never seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
