"""The student: a T5 from a folder, from the hub, or a small one from scratch."""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    T5Config,
    T5ForConditionalGeneration,
)

from stepdistill.trainer.errors import StudentError
from stepdistill.trainer.model.tokenizer import Piece, from_pieces
from stepdistill.trainer.settings.train import Size

_FAMILY = ("t5", "mt5")
_HEAD = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """A model and the tokenizer that speaks its language."""

    model: T5ForConditionalGeneration
    tokenizer: PreTrainedTokenizerBase


def from_scratch(size: Size, pieces: list[Piece], seed: int, dropout: float | None) -> Student:
    """A T5 with random weights over a vocabulary of pieces; the seed decides the weights."""
    tokenizer = from_pieces(pieces)
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=size.width,
        d_kv=_HEAD,
        d_ff=4 * size.width,
        num_heads=size.width // _HEAD,
        num_layers=size.layers,
        num_decoder_layers=size.layers,
        dropout_rate=dropout or 0.0,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,  # pyright: ignore[reportCallIssue] - known to the base class
    )
    return Student(model=T5ForConditionalGeneration(config), tokenizer=tokenizer)


def pretrained(name: str, dropout: float | None) -> Student:
    """A T5 from a folder or the hub, in fp32. Raises StudentError when it cannot be had."""
    try:
        config = AutoConfig.from_pretrained(name)
        _refuse_others(name, config.model_type)
        if dropout is not None:
            config.dropout_rate = dropout
        model = AutoModelForSeq2SeqLM.from_pretrained(name, config=config, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, ImportError) as error:
        hint = "the folder lacks a part of a saved model" if Path(name).is_dir() else _NOT_FOUND
        first = str(error).strip().splitlines()[0]
        raise StudentError(f"--model {name}: cannot be loaded, {hint} ({first})") from None
    return Student(model=model, tokenizer=tokenizer)


def compile_student(student: Student) -> None:
    """Compile encoder and decoder in place, for any shape of batch."""
    student.model.encoder.compile(dynamic=True)
    student.model.decoder.compile(dynamic=True)


_NOT_FOUND = "no such folder here, and the hub did not give it"


def _refuse_others(name: str, family: str) -> None:
    if family not in _FAMILY:
        raise StudentError(f"--model {name}: a {family}, the student must be one of {_FAMILY}")
