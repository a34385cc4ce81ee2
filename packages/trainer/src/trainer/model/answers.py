"""What a student answers: the likeliest words, or the likeliest of some choices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch.nn import functional

from trainer.data.batches import IGNORED, pad_inputs, pad_targets
from trainer.data.tokens import Ints
from trainer.model.student import Student
from trainer.tasks import SEPARATOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A label and its probability: among the row's choices, or of these very words."""

    label: str
    probability: float


def say(student: Student, rows: Sequence[Ints], longest: int, *, synced: bool = False) -> list[str]:
    """The likeliest words for each row of token ids, greedily, `longest` tokens at most.

    synced: all ranks generate together (ZeRO-3).
    """
    input_ids, mask = (tensor.to(student.model.device) for tensor in pad_inputs(rows))
    with torch.inference_mode():
        said = student.model.generate(  # pyright: ignore[reportAttributeAccessIssue] - a mixin's
            input_ids=input_ids,
            attention_mask=mask,
            max_new_tokens=longest,
            do_sample=False,
            num_beams=1,
            synced_gpus=synced,
        )
    return student.tokenizer.batch_decode(said, skip_special_tokens=True)


def label_in(said: str) -> str:
    """The label of an answer, which may go on with reasons."""
    return said.partition(SEPARATOR.rstrip())[0].strip()


def reasons_in(said: str) -> str:
    """The reasons of an answer that begins with its label; empty where there are none."""
    return said.partition(SEPARATOR.rstrip())[2].strip()


def choose(
    student: Student, rows: Sequence[Ints], choices: Sequence[Sequence[str]], *, whole: bool = True
) -> list[Answer]:
    """The likeliest of each row's choices: one encoder pass, one decoder pass over all choices."""
    scores = log_chances(student, rows, choices, whole=whole)
    answers: list[Answer] = []
    for names, row_scores in zip(choices, scores, strict=True):
        chances = torch.tensor(row_scores).softmax(0)
        best = int(chances.argmax())
        answers.append(Answer(label=names[best], probability=float(chances[best])))
    return answers


def log_chances(
    student: Student, rows: Sequence[Ints], texts: Sequence[Sequence[str]], *, whole: bool = True
) -> list[list[float]]:
    """For each row, the log of the probability that the student says each of its texts.

    whole: and nothing after it; else the text may go on.
    """
    model = student.model
    input_ids, mask = (tensor.to(model.device) for tensor in pad_inputs(rows))
    counts = [len(names) for names in texts]
    source = torch.from_numpy(np.repeat(np.arange(len(rows)), counts)).to(model.device)
    spelt = student.tokenizer([text for names in texts for text in names])["input_ids"]
    ids = [np.array(text if whole else text[:-1]) for text in cast(list[list[int]], spelt)]
    targets = pad_targets(ids).to(model.device)
    with torch.inference_mode():
        hidden = model.encoder(input_ids=input_ids, attention_mask=mask)[0]
        logits = model(
            encoder_outputs=(hidden[source],), attention_mask=mask[source], labels=targets
        ).logits
        losses = functional.cross_entropy(
            logits.float().transpose(1, 2), targets, ignore_index=IGNORED, reduction="none"
        )
    return [part.tolist() for part in (-losses.sum(1)).split(counts)]
