"""What a student answers: the likeliest words, or the likeliest of some choices."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, inf, isnan, log1p

import numpy as np
import torch

from stepdistill.trainer.data.batches import lone_targets, pad_inputs, shared_targets
from stepdistill.trainer.data.tokens import Ints
from stepdistill.trainer.errors import StudentError
from stepdistill.trainer.model.decoding import decode
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.settings.tasks import SEPARATOR


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentAnswer:
    """A label and its probability: among the row's choices, or of these very words."""

    label: str
    probability: float
    # What that comes from: the log of the probability of each of the row's choices, and which of
    # them the label is. Of words of its own theirs alone, and no place; nothing where it is not
    # kept, as there may be a thousand choices.
    logs: tuple[float, ...] = ()
    place: int | None = None


def generate(
    student: Student, rows: Sequence[Ints], longest: int, *, synced: bool = False
) -> list[str]:
    """The likeliest words for each row of token ids, greedily, `longest` tokens at most; of a
    classifier its label.

    synced: all ranks generate together (ZeRO-3).
    """
    if student.engine is not None:
        said = student.engine.greedy(rows, longest)
        return student.tokenizer.batch_decode(said, skip_special_tokens=True)
    input_ids, mask = (tensor.to(student.model.device) for tensor in pad_inputs(rows))
    with torch.inference_mode():
        if student.head is not None:
            return student.head.read(student.family.encode(student.model, input_ids, mask))
        generated = student.model.generate(  # pyright: ignore[reportAttributeAccessIssue] - a mixin's
            input_ids=input_ids,
            attention_mask=mask,
            max_new_tokens=longest,
            do_sample=False,
            num_beams=1,
            synced_gpus=synced,
        )
    return student.tokenizer.batch_decode(generated, skip_special_tokens=True)


_SEPARATED = re.compile(rf"\s*{re.escape(SEPARATOR.strip())}\s*", re.IGNORECASE)
# Of choices this near to the likeliest the first is taken: what differs less may differ by the
# rounding of sums, which goes by what else is computed at once.
_TIE = 1e-4
_LOGITS_AT_ONCE = 2**26  # floats, 256 MiB: what is computed of the vocabulary for some rows at once
_LONGEST = 1 << 20


def label_in(generated: str, *, whole: bool = False) -> str:
    """The label of an answer. whole: it is all of it; else reasons may follow."""
    return (generated if whole else _SEPARATED.split(generated, 1)[0]).strip()


def rationale_in(generated: str) -> str:
    """The reasons of an answer that begins with its label; empty where there are none."""
    return "".join(_SEPARATED.split(generated, 1)[1:]).strip()


def label(
    student: Student,
    rows: Sequence[Ints],
    choices: Sequence[Sequence[str]],
    longest: int,
    *,
    whole: bool,
    synced: bool = False,
) -> list[StudentAnswer]:
    """Each row's label: the likeliest of its choices, and where it has none what the student says,
    `longest` tokens at most. Rows of both ways are answered apart: none changes another's."""
    found: dict[int, StudentAnswer] = {}
    closed = [place for place, names in enumerate(choices) if names]
    spoken = [place for place, names in enumerate(choices) if not names]
    if closed:
        sets = [choices[place] for place in closed]
        here = [rows[place] for place in closed]
        answers = choose(student, here, sets, whole=whole, synced=synced)
        found |= dict(zip(closed, answers, strict=True))
    if spoken:
        here = [rows[place] for place in spoken]
        answers = say(student, here, longest, whole=whole, synced=synced)
        found |= dict(zip(spoken, answers, strict=True))
    return [found[place] for place in range(len(rows))]


def choose(
    student: Student,
    rows: Sequence[Ints],
    choices: Sequence[Sequence[str]],
    *,
    whole: bool = True,
    synced: bool = False,
) -> list[StudentAnswer]:
    """The likeliest of each row's choices, of which there is one at least."""
    scores = log_probabilities(student, rows, choices, whole=whole, synced=synced)
    answers: list[StudentAnswer] = []
    for names, row_scores in zip(choices, scores, strict=True):
        probabilities = torch.tensor(row_scores).softmax(0)
        highest = max(row_scores)
        best = next(i for i, score in enumerate(row_scores) if score >= highest - _TIE)
        answers.append(
            StudentAnswer(
                label=names[best],
                probability=float(probabilities[best]),
                logs=tuple(row_scores),
                place=best,
            )
        )
    return answers


def say(
    student: Student, rows: Sequence[Ints], longest: int, *, whole: bool, synced: bool = False
) -> list[StudentAnswer]:
    """What the student says for each row, and how likely it is that it says this very label."""
    texts = generate(student, rows, longest, synced=synced)
    labels = [label_in(text, whole=whole) for text in texts]
    logs = log_probabilities(
        student, rows, [[label] for label in labels], whole=whole, synced=synced
    )
    return [
        StudentAnswer(label=label, probability=exp(log), logs=(log,))
        for label, [log] in zip(labels, logs, strict=True)
    ]


def log_probabilities(
    student: Student,
    rows: Sequence[Ints],
    texts: Sequence[Sequence[str]],
    *,
    whole: bool = True,
    synced: bool = False,
) -> list[list[float]]:
    """For each row, the log of the probability that the student says each of its texts.

    whole: and nothing after it; else it may go on behind the separator. A text that merely begins
    what is said is not said: `not` is none of the ways to say `not good`.
    """
    ends = ("",) if whole else ("", SEPARATOR.rstrip())
    every = [text + end for names in texts for text in names for end in ends]
    spelt = iter(student.spell(every, _LONGEST))
    # Behind the separator reasons follow, so there is no end mark.
    ways = [
        [np.array(next(spelt)[: -1 if end else None]) for _ in names for end in ends]
        for names in texts
    ]
    found = log_probabilities_of(student, rows, ways, synced=synced)
    if any(isnan(log) for logs in found for log in logs):
        raise StudentError(
            "the student computes what is no number (NaN): it has diverged, or its weights are "
            "damaged: train it again, with a lower --lr"
        )
    if whole:
        return found
    return [[_either(*pair) for pair in zip(logs[::2], logs[1::2], strict=True)] for logs in found]


def log_probabilities_of(
    student: Student,
    rows: Sequence[Ints],
    spelt: Sequence[Sequence[Ints]],
    *,
    synced: bool = False,
) -> list[list[float]]:
    """The same for texts as token ids. synced: all ranks compute equally often (ZeRO-3)."""
    if student.engine is not None:
        return student.engine.log_probabilities(rows, spelt)
    model, family, device = student.model, student.family, student.model.device
    input_ids, mask = (tensor.to(device) for tensor in pad_inputs(rows))
    found: list[list[float]] = []
    with torch.inference_mode():
        # (rows, longest) -> (rows, longest, width)
        hidden = family.encode(model, input_ids, mask)
        bounds = [0, len(rows)] if synced else _turns(spelt, len(student.tokenizer))
        for start, end in pairwise(bounds):
            part, here = spelt[start:end], mask[start:end]
            if family.shares_lines:
                # A row's texts share a line, so that what they see of its input is computed once.
                targets = shared_targets(part).to(device)
                here = here * torch.arange(1, end - start + 1, device=device)[:, None]
            else:
                targets = lone_targets(part).to(device)
            decoded = decode(family, model, hidden[start:end], here, targets)
            # (tokens,) -> (texts,): a text's log probability is the sum over its tokens.
            sums = decoded.logits.new_zeros(sum(map(len, part)))
            sums.index_add_(0, decoded.target, -decoded.losses())
            found += [each.tolist() for each in sums.split(list(map(len, part)))]
    return found


def _turns(spelt: Sequence[Sequence[Ints]], words: int) -> list[int]:
    """The rows where each turn begins, and the end: as many at once as there is room for."""
    most, bounds, tokens = max(1, _LOGITS_AT_ONCE // words), [0], 0
    for row, texts in enumerate(spelt):
        size = sum(map(len, texts))
        if tokens and tokens + size > most:
            bounds.append(row)
            tokens = 0
        tokens += size
    return [*bounds, len(spelt)]


def _either(one: float, other: float) -> float:
    """The log of the sum of two probabilities, from their logs."""
    high, low = max(one, other), min(one, other)
    return high if low == -inf else high + log1p(exp(low - high))
