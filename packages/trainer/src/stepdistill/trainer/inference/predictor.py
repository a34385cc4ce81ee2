"""A student ready to answer: its model, its tokenizer, and how it wants to be asked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import transformers

from stepdistill.trainer.data.tokens import Ints
from stepdistill.trainer.inference.rows import AskedRow
from stepdistill.trainer.model.answers import (
    StudentAnswer,
    choose,
    label_in,
    log_chances,
    reasons_in,
    say,
)
from stepdistill.trainer.model.student import Student, pretrained
from stepdistill.trainer.model.tokenizer import encoder_of
from stepdistill.trainer.model.use import InferenceSettings, read_use


class Predictor:
    """Answers rows; loaded once."""

    def __init__(self, folder: Path) -> None:
        self.use: InferenceSettings = read_use(folder)
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self._student: Student = pretrained(str(folder), None)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._student.model.to(device)  # pyright: ignore[reportArgumentType] - its stub is wrong
        self._student.model.eval()

    def label(self, rows: Sequence[AskedRow]) -> list[StudentAnswer]:
        """The rows' labels, each with its probability."""
        ids = self._encode(self.use.prefix, rows)
        if all(len(row.choices) > 1 for row in rows):
            choices = [row.choices for row in rows]
            return choose(self._student, ids, choices, whole=not self.use.with_label)
        said = [label_in(text) for text in say(self._student, ids, self.use.max_target_tokens)]
        whole = not self.use.with_label
        chances = log_chances(self._student, ids, [[text] for text in said], whole=whole)
        return [
            StudentAnswer(label=text, probability=float(np.exp(chance)))
            for text, [chance] in zip(said, chances, strict=True)
        ]

    def explain(self, rows: Sequence[AskedRow]) -> list[str]:
        """The rows' rationales, greedily. The student must have learnt to give them."""
        use = self.use
        prefix = use.prefix if use.with_label else use.explain_prefix
        assert prefix is not None  # the command looked
        said = say(self._student, self._encode(prefix, rows), use.max_target_tokens)
        return list(map(reasons_in, said)) if use.with_label else said

    def _encode(self, prefix: str, rows: Sequence[AskedRow]) -> list[Ints]:
        texts = [prefix + row.input for row in rows]
        encode = encoder_of(self._student.tokenizer)
        return [np.array(ids) for ids in encode(texts, self.use.max_input_tokens)]
