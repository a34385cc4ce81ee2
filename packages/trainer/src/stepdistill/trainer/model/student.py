"""The student: what it is, one from scratch, its work in FLOPs, and how a trained one is asked."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn
from transformers.models.t5.configuration_t5 import T5Config
from transformers.models.t5.modeling_t5 import T5ForConditionalGeneration
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from stepdistill.common.manifest import Manifest
from stepdistill.common.task import ColumnSpec, LabelSpec, StudentSpec
from stepdistill.trainer.data.tokens import Encode
from stepdistill.trainer.errors import StudentError, first_problem
from stepdistill.trainer.model.engines.engine import AnswerEngine
from stepdistill.trainer.model.families.family import Family
from stepdistill.trainer.model.families.t5 import T5Family
from stepdistill.trainer.model.heads import Head
from stepdistill.trainer.model.tokenizer import Piece, encoder_of, from_pieces
from stepdistill.trainer.settings.tasks import judged
from stepdistill.trainer.settings.train import SETTINGS_NAME, Size, TrainSettings

HEAD_WIDTH = 16  # of an attention head, of students from scratch


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """A model and the tokenizer that speaks its language."""

    model: Any  # a PreTrainedModel of the family
    tokenizer: PreTrainedTokenizerBase
    family: Family  # how it is asked
    head: Head | None = None  # of a classifier; None: its answers are words
    longest_input: int | None = None  # tokens that it has places for; None: any number
    engine: AnswerEngine | None = (
        None  # what computes it in torch's place: it has no model, no family
    )
    remarks: tuple[str, ...] = ()  # what was odd about its base, and mended

    @property
    def spell(self) -> Encode:
        """What it answers, as ids: of its tokenizer, or of its head."""
        return encoder_of(self.tokenizer) if self.head is None else self.head.spell

    def input_limit(self, asked: int) -> int:
        """Tokens of an input at most, where `asked` are asked for."""
        return asked if self.longest_input is None else min(asked, self.longest_input)


def from_scratch(size: Size, pieces: list[Piece], seed: int, dropout: float | None) -> Student:
    """A T5 with random weights over a vocabulary of pieces; the seed decides the weights."""
    tokenizer = from_pieces(pieces)
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=size.width,
        d_kv=HEAD_WIDTH,
        d_ff=4 * size.width,
        num_heads=size.width // HEAD_WIDTH,
        num_layers=size.layers,
        num_decoder_layers=size.layers,
        dropout_rate=dropout or 0.0,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,  # pyright: ignore[reportCallIssue] - known to the base class
    )
    model = T5ForConditionalGeneration(config)
    return Student(model=model, tokenizer=tokenizer, family=T5Family())


def compile_student(student: Student) -> None:
    """Compile encoder and decoder (if any) in place, for any shape of batch."""
    for part in student.family.parts(student.model):
        part.compile(dynamic=True)


# Dense bf16, TFLOP/s, as NVIDIA states them; the first name that is part of the device's counts.
_PEAKS = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362, "L4": 121, "A10": 125, "4090": 165}


# What makes keys and values of the encoder's output: of T5, BART, T5Gemma. T5Gemma 2 has one
# attention for both texts, whose matrices are used twice.
_CROSSING = re.compile(r"(EncDecAttention[.][kv]|(encoder_attn|cross_attn)[.][kv]_proj)$")
_SHARED = re.compile(r"self_attn[.][kv]_proj$")


def flops(student: Student, input_tokens: int, target_tokens: int) -> float:
    """Operations that learning from so many tokens takes: products of matrices, both ways."""
    encoder, *decoders = student.family.parts(student.model)
    of_inputs, of_targets = sum(_matrices(encoder).values()), 0
    for decoder in decoders:
        weights = _matrices(decoder)
        crossing = sum(n for name, n in weights.items() if _CROSSING.search(name))
        twice = 0 if crossing else sum(n for name, n in weights.items() if _SHARED.search(name))
        of_inputs += crossing + twice
        of_targets += sum(weights.values()) - crossing
        of_targets += _size(student.model.get_output_embeddings().weight)
    return 6.0 * (of_inputs * input_tokens + of_targets * target_tokens)


def _matrices(part: nn.Module) -> dict[str, int]:
    """The weights that every token of a text is multiplied by: no embeddings, and no eyes."""
    return {
        name: _size(module.weight)
        for name, module in part.named_modules()
        if isinstance(module, nn.Linear) and "vision" not in name
    }


def _size(weight: torch.Tensor) -> int:
    """ZeRO-3 leaves nothing of it in its place."""
    return getattr(weight, "ds_numel", weight.numel())


def known_peak(device: str) -> float | None:
    """The peak of a device in TFLOP/s by its name, None where it is not known."""
    return next((float(peak) for name, peak in _PEAKS.items() if name in device), None)


class InferenceSettings(BaseModel):
    """How the student was asked when it learnt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    label: LabelSpec
    student: StudentSpec
    prefix: str  # before an input, to get the label
    explain_prefix: str | None  # to get the rationale; None: it has not learnt to give one
    with_label: bool  # one answer holds both, label first
    max_input_tokens: int
    max_target_tokens: int
    # Tokens of a label at most, as in the exams; None: a student of an earlier version.
    max_label_tokens: int | None = Field(default=None, exclude_if=lambda found: found is None)
    # What the rows that it learnt from call its fields, where that is another name.
    columns: ColumnSpec | None = Field(default=None, exclude_if=lambda found: found is None)
    # How it is built, where it is no encoder-decoder.
    architecture: Literal["encoder"] | None = Field(
        default=None, exclude_if=lambda found: found is None
    )


def inference_settings_of(
    config: TrainSettings, origin: Manifest, max_label_tokens: int | None = None
) -> InferenceSettings:
    """How a student that these settings trained on these shards is to be asked."""
    table = config.table()
    return InferenceSettings(
        task=origin.task,
        label=origin.label,
        student=origin.student,
        prefix=judged(table).prefix,
        explain_prefix=next((task.prefix for task in table if task.target == "rationale"), None),
        with_label=judged(table).target == "label-rationale",
        max_input_tokens=config.max_input_tokens,
        max_target_tokens=config.max_target_tokens,
        max_label_tokens=max_label_tokens,
        columns=origin.columns,
        architecture="encoder" if config.is_classifier else None,
    )


def read_inference_settings(folder: Path) -> InferenceSettings:
    """Raises StudentError where the folder is no student of ours."""
    path = folder / SETTINGS_NAME
    try:
        return InferenceSettings.model_validate_json(path.read_bytes())
    except OSError:
        raise StudentError(
            f"{path}: not there: name the folder `model` of a finished training run"
        ) from None
    except ValidationError as error:
        raise StudentError(f"{path}: {first_problem(error)}") from None
