"""The student that the benchmarks of answering ask: rows of words, four labels, its folder."""

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepdistill.trainer.model.student import Student

CLASSES = ("addition", "subtraction", "multiplication", "division")
_WORDS = ("ferry", "museum", "orchard", "bridge", "harbour", "engine", "garden", "market", "pays")


def texts_of(n: int) -> list[str]:
    """Texts of 15 to 60 words and numbers, no two alike."""
    rng = random.Random(n)
    return [
        " ".join([str(number), *rng.choices(_WORDS, k=rng.randint(14, 59))]) for number in range(n)
    ]


def write_student(student: "Student", folder: Path) -> None:
    """Write one that tells the classes apart, as a training writes it."""
    from stepdistill.common.task import ClassSpec, LabelSpec, StudentSpec
    from stepdistill.trainer.model.student import InferenceSettings
    from stepdistill.trainer.settings.train import SETTINGS_NAME

    student.model.save_pretrained(folder)
    tokenizer: Any = student.tokenizer  # its types are known in parts only
    tokenizer.save_pretrained(folder)
    settings = InferenceSettings(
        task="made-up",
        label=LabelSpec(kind="classes", classes={name: ClassSpec() for name in CLASSES}),
        student=StudentSpec(input="{text}"),
        prefix="predict: ",
        explain_prefix=None,
        with_label=False,
        max_input_tokens=512,
        max_target_tokens=64,
    )
    (folder / SETTINGS_NAME).write_text(settings.model_dump_json(), encoding="utf-8")
