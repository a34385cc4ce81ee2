"""What a student answers: the likeliest words, or the likeliest of some choices."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from stepdistill.trainer.data.batches import lone_targets, pad_inputs, shared_targets
from stepdistill.trainer.data.tokens import Ints
from stepdistill.trainer.model.decoding import decode
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.settings.tasks import SEPARATOR


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentAnswer:
    """A label and its probability: among the row's choices, or of these very words."""

    label: str
    probability: float


def generate(
    student: Student, rows: Sequence[Ints], longest: int, *, synced: bool = False
) -> list[str]:
    """The likeliest words for each row of token ids, greedily, `longest` tokens at most.

    synced: all ranks generate together (ZeRO-3).
    """
    input_ids, mask = (tensor.to(student.model.device) for tensor in pad_inputs(rows))
    with torch.inference_mode():
        generated = student.model.generate(  # pyright: ignore[reportAttributeAccessIssue] - a mixin's
            input_ids=input_ids,
            attention_mask=mask,
            max_new_tokens=longest,
            do_sample=False,
            num_beams=1,
            synced_gpus=synced,
        )
    return student.tokenizer.batch_decode(generated, skip_special_tokens=True)


def label_in(generated: str) -> str:
    """The label of an answer, which may go on with reasons."""
    return generated.partition(SEPARATOR.rstrip())[0].strip()


def rationale_in(generated: str) -> str:
    """The reasons of an answer that begins with its label; empty where there are none."""
    return generated.partition(SEPARATOR.rstrip())[2].strip()


def choose(
    student: Student, rows: Sequence[Ints], choices: Sequence[Sequence[str]], *, whole: bool = True
) -> list[StudentAnswer]:
    """The likeliest of each row's choices: one encoder pass, one decoder pass over all choices."""
    scores = log_probabilities(student, rows, choices, whole=whole)
    answers: list[StudentAnswer] = []
    for names, row_scores in zip(choices, scores, strict=True):
        probabilities = torch.tensor(row_scores).softmax(0)
        best = int(probabilities.argmax())
        answers.append(StudentAnswer(label=names[best], probability=float(probabilities[best])))
    return answers


def log_probabilities(
    student: Student, rows: Sequence[Ints], texts: Sequence[Sequence[str]], *, whole: bool = True
) -> list[list[float]]:
    """For each row, the log of the probability that the student says each of its texts.

    whole: and nothing after it; else the text may go on.
    """
    token_ids = iter(student.tokenizer([text for names in texts for text in names])["input_ids"])
    spelt = [
        [np.array(ids if whole else ids[:-1]) for ids in islice(token_ids, len(names))]
        for names in texts
    ]
    return log_probabilities_of(student, rows, spelt)


def log_probabilities_of(
    student: Student, rows: Sequence[Ints], spelt: Sequence[Sequence[Ints]]
) -> list[list[float]]:
    """The same for texts as token ids."""
    model, family, device = student.model, student.family, student.model.device
    input_ids, mask = (tensor.to(device) for tensor in pad_inputs(rows))
    if family.shares_lines:
        # A row's texts share a line, so that what they see of its input is computed once.
        targets = shared_targets(spelt).to(device)
        numbers = mask * torch.arange(1, len(rows) + 1, device=device)[:, None]
    else:
        targets, numbers = lone_targets(spelt).to(device), mask
    with torch.inference_mode():
        # (rows, longest) -> (rows, longest, width)
        hidden = family.encode(model, input_ids, mask)
        decoded = decode(family, model, hidden, numbers, targets)
        # (tokens,) -> (texts,): a text's log probability is the sum over its tokens.
        sums = decoded.logits.new_zeros(sum(map(len, spelt)))
        sums.index_add_(0, decoded.target, -decoded.losses())
    return [part.tolist() for part in sums.split(list(map(len, spelt)))]
