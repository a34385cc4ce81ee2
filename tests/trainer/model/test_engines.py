"""Engines answer as torch does, for every family that they take, whatever is asked at once."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stepdistill.common.errors import ConfigError
from stepdistill.common.task import ClassSpec, LabelSpec, StudentSpec
from stepdistill.trainer.inference.exported import note_of, opened, write_export
from stepdistill.trainer.model.answers import generate, log_probabilities
from stepdistill.trainer.model.encoder import encoder_base, trained
from stepdistill.trainer.model.engines.ctranslate2 import FAMILIES as CONVERTED
from stepdistill.trainer.model.engines.engine import EngineName, Precision
from stepdistill.trainer.model.heads import head_of
from stepdistill.trainer.model.pretrained import pretrained
from stepdistill.trainer.model.student import InferenceSettings, Student
from stepdistill.trainer.model.tokenizer import encoder_of
from tests.trainer.made_bases import FAMILIES, made_base
from tests.trainer.made_encoders import ENCODERS, made_encoder
from tests.trainer.made_rows import CLASSES, INPUT, word_problems

TEXTS = ["predict: " + " ".join(row.input.values()) for row in word_problems("texts", 40)]
# Of some length each, so that all but one are padded.
INPUTS = [text[: 20 + 60 * place] for place, text in enumerate(TEXTS[:4])]
CHOICES = [CLASSES, CLASSES[:2], ["addition"], CLASSES]

SETTINGS = InferenceSettings(
    task="word-problems",
    label=LabelSpec(kind="classes", classes={name: ClassSpec() for name in CLASSES}),
    student=StudentSpec(input=INPUT),
    prefix="predict: ",
    explain_prefix=None,
    with_label=False,
    max_input_tokens=300,
    max_target_tokens=64,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


def _student(home: Path, family: str) -> Student:
    folder = home / family
    if not folder.exists():
        made_base(family, folder, [*TEXTS, *CLASSES])
        (folder / "stepdistill.json").write_text(SETTINGS.model_dump_json())
    student = pretrained(str(folder), None)
    student.model.eval()
    with torch.no_grad():
        for weight in student.model.parameters():
            if weight.dim() > 1:
                weight.mul_(1.5)  # or every answer is as likely as any other
    return student


def _exported(home: Path, family: str, engine: EngineName, precision: Precision) -> Student:
    student, folder = _student(home, family), home / f"{family}-{engine}-{precision}"
    note = note_of(student, engine, precision)
    if not folder.exists():
        folder.mkdir()
        write_export(student, home / family, folder, note)
    return opened(folder, note, 1)


def _rows(student: Student) -> list[np.ndarray]:
    return [np.array(ids) for ids in encoder_of(student.tokenizer)(INPUTS, 300)]


def _logs(student: Student, *, whole: bool) -> list[float]:
    found = log_probabilities(student, _rows(student), CHOICES, whole=whole)
    return [log for logs in found for log in logs]


def _answers_alike(home: Path, family: str, engine: EngineName) -> None:
    torchs, exported = _student(home, family), _exported(home, family, engine, "fp32")
    for whole in (True, False):
        assert _logs(exported, whole=whole) == pytest.approx(_logs(torchs, whole=whole), abs=2e-4)
    assert generate(exported, _rows(exported), 12) == generate(torchs, _rows(torchs), 12)


def _hangs_on_its_row_alone(student: Student) -> None:
    rows = _rows(student)
    together = log_probabilities(student, rows, CHOICES)
    said = generate(student, rows, 12)
    for place, row in enumerate(rows):
        [alone] = log_probabilities(student, [row], [CHOICES[place]])
        assert alone == pytest.approx(together[place], abs=1e-4)
        assert generate(student, [row], 12) == [said[place]]


@pytest.mark.parametrize("family", [name for name in FAMILIES if "gemma" not in name])
def test_ctranslate2_answers_as_torch_does(home: Path, family: str) -> None:
    pytest.importorskip("ctranslate2", reason="the extra [ctranslate2] is not installed")
    _answers_alike(home, family, "ctranslate2")
    _hangs_on_its_row_alone(_exported(home, family, "ctranslate2", "int8"))


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "family",
    ["bart", *(pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES if name != "bart")],
)
def test_onnx_answers_as_torch_does(home: Path, family: str) -> None:
    pytest.importorskip("onnx", reason="the extra [onnx] is not installed")
    _answers_alike(home, family, "onnx")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_onnx_in_int8_hangs_on_its_row_alone(home: Path) -> None:
    pytest.importorskip("onnx", reason="the extra [onnx] is not installed")
    _hangs_on_its_row_alone(_exported(home, "t5 v1.1", "onnx", "int8"))


@pytest.mark.parametrize("family", ["t5gemma", "t5gemma2"])
def test_ctranslate2_refuses_what_it_answers_otherwise(
    home: Path, family: str, tmp_path: Path
) -> None:
    student = _student(home, family)
    with pytest.raises(ConfigError, match=f"{CONVERTED[0]}, .* take --to onnx"):
        write_export(student, home / family, tmp_path, note_of(student, "ctranslate2", "fp32"))


def test_names_of_tokens_are_nobodys_business(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2", reason="the extra [ctranslate2] is not installed")
    """A base may have tokens of the same name as those that a converter would add."""
    student = _student(home, "t5")
    student.tokenizer.add_tokens(["<extra_id_0>", "<extra_id_1>\n"])
    shutil.copyfile(home / "t5" / "stepdistill.json", tmp_path / "stepdistill.json")
    note = note_of(student, "ctranslate2", "fp32")
    write_export(student, home / "t5", tmp_path, note)
    exported = opened(tmp_path, note, 1)
    assert _logs(exported, whole=True) == pytest.approx(_logs(student, whole=True), abs=2e-4)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("precision", ["fp32", pytest.param("int8", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "family",
    ["bert", *(pytest.param(name, marks=pytest.mark.slow) for name in ENCODERS if name != "bert")],
)
def test_a_classifier_in_onnx_answers_as_torch_does(
    home: Path, family: str, precision: Precision
) -> None:
    pytest.importorskip("onnx", reason="the extra [onnx] is not installed")
    source = home / f"{family}-student"
    if not source.exists():
        base = made_encoder(family, home / family, [*TEXTS, *CLASSES])
        head = head_of(SETTINGS.label, CLASSES)
        made = encoder_base(str(base), head, dropout=None, seed=0)
        made.model.save_pretrained(source)
        made.tokenizer.save_pretrained(source)
        settings = SETTINGS.model_copy(update={"architecture": "encoder"})
        (source / "stepdistill.json").write_text(settings.model_dump_json())
    student, folder = trained(source, SETTINGS.label), home / f"{family}-onnx-{precision}"
    student.model.eval()
    note = note_of(student, "onnx", precision)
    folder.mkdir()
    write_export(student, source, folder, note)
    exported = opened(folder, note, 1)
    # In int8 two classes that are as likely may change places: a student of a few steps has some.
    near = 1e-4 if precision == "fp32" else 0.5
    assert _logs(exported, whole=True) == pytest.approx(_logs(student, whole=True), abs=near)
    _hangs_on_its_row_alone(exported)
    if precision == "fp32":
        assert generate(exported, _rows(exported), 4) == generate(student, _rows(student), 4)
