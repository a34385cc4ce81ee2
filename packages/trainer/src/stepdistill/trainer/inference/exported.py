"""A folder with an exported student: written whole, and opened in the place of one of torch.

stepdistill.json, tokenizer...   as in the folder `model` that it was made of
export.json                      the engine, and what the check of the export found
reader.onnx ..., ctranslate2/    the engine's own
seals.json                       a checksum of each of these
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from transformers.models.auto.tokenization_auto import AutoTokenizer

from stepdistill.common.errors import DistillError
from stepdistill.trainer.errors import StudentError, first_line, first_problem, refused
from stepdistill.trainer.model.encoder import names_of
from stepdistill.trainer.model.engines.ctranslate2 import CTranslate2Engine, write_ctranslate2
from stepdistill.trainer.model.engines.engine import AnswerEngine, EngineName, ExportNote, Precision
from stepdistill.trainer.model.engines.onnx import OnnxClassifier, OnnxEngine, write_onnx
from stepdistill.trainer.model.families.family import start_of
from stepdistill.trainer.model.families.headed import HeadedFamily
from stepdistill.trainer.model.heads import head_of
from stepdistill.trainer.model.loading import load_config
from stepdistill.trainer.model.student import Student, read_inference_settings
from stepdistill.trainer.model.tokenizer import save_tokenizer
from stepdistill.trainer.settings.train import SETTINGS_NAME
from stepdistill.trainer.training.seals import SEALS_NAME, damage

EXPORT_NAME = "export.json"
ENGINE_FILES = ("reader.onnx", "speaker.onnx", "classifier.onnx", "ctranslate2")
_WRITERS: dict[EngineName, Callable[[Student, Path, Precision], None]] = {
    "onnx": write_onnx,
    "ctranslate2": write_ctranslate2,
}
_OPENERS: dict[EngineName, Callable[[Path, ExportNote, int | None], AnswerEngine]] = {
    "onnx": OnnxEngine,
    "ctranslate2": CTranslate2Engine,
}


def is_export(folder: Path) -> bool:
    """Whether a folder holds an exported student, or what is left of one. A student of torch may
    have one of its own within, by an engine's name."""
    is_there = any((folder / name).exists() for name in (EXPORT_NAME, *ENGINE_FILES))
    return is_there and not any(folder.glob("*.safetensors"))


def write_export(student: Student, source: Path, folder: Path, note: ExportNote) -> None:
    """Fill a folder with all that answers take; the note itself, and seals, come when it is
    checked. Raises ConfigError: a library is missing, or cannot do this student."""
    shutil.copyfile(source / SETTINGS_NAME, folder / SETTINGS_NAME)
    save_tokenizer(student.tokenizer, folder)
    student.model.config.save_pretrained(folder)  # without it no tokenizer is found
    try:
        _WRITERS[note.engine](student, folder, note.precision)
    except (DistillError, OSError):
        raise
    except Exception as error:  # noqa: BLE001  # of the libraries, for architectures they do not know
        kind = student.model.config.model_type
        raise StudentError(
            f"--to {note.engine}: this {kind} cannot be converted ({first_line(error)})"
        ) from None


def note_of(student: Student, engine: EngineName, precision: Precision) -> ExportNote:
    """What an export of this student has to say."""
    if isinstance(student.family, HeadedFamily):
        return ExportNote(
            engine=engine,
            precision=precision,
            pad=student.family.pad,
            longest_input=student.longest_input,
        )
    return ExportNote(
        engine=engine,
        precision=precision,
        start=start_of(student.model),
        end=student.model.generation_config.eos_token_id,
        words=student.model.get_input_embeddings().num_embeddings,
    )


def open_export(folder: Path, threads: int | None = None) -> Student:
    """The student in such a folder. Raises StudentError: the folder is damaged; ConfigError: what
    computes it is not installed."""
    is_sealed = (folder / SEALS_NAME).is_file()
    what = damage(folder) if is_sealed else f"{SEALS_NAME} is not there"
    if what is not None:
        raise StudentError(f"{folder}: {what}: export the student again")
    try:
        with refused(folder / EXPORT_NAME, "read", StudentError):
            note = ExportNote.model_validate_json((folder / EXPORT_NAME).read_bytes())
    except ValidationError as error:
        raise StudentError(f"{folder / EXPORT_NAME}: {first_problem(error)}") from None
    return opened(folder, note, threads)


def opened(folder: Path, note: ExportNote, threads: int | None) -> Student:
    """The same of a folder whose note is known, sealed or not."""
    settings = read_inference_settings(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        if settings.architecture == "encoder":
            head = head_of(settings.label, names_of(load_config(str(folder))))
            return Student(
                model=OnnxClassifier(folder, note, threads),
                tokenizer=tokenizer,
                family=HeadedFamily(head, note.pad),
                head=head,
                longest_input=note.longest_input,
            )
        engine = _OPENERS[note.engine](folder, note, threads)
    except DistillError:
        raise
    except Exception as error:  # noqa: BLE001  # files of others: any error is theirs
        raise StudentError(f"{folder}: cannot be opened ({first_line(error)})") from None
    return Student(model=None, tokenizer=tokenizer, family=cast(Any, None), engine=engine)
