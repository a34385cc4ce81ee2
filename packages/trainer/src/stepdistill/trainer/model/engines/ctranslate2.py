"""CTranslate2: a student in that library's own format, converted and computed by it.

Its tokens are named by their numbers: names of others' tokens may stand there twice, or be cut.

To score a text it reads the row anew, which for four texts takes four times as long. So a row is
read once, and speaks: once for every token that a text may begin with. What it might have said
instead is known at each further token, which gives the scores of all texts that it says, but for
their last token. Others are scored, unless they are too unlikely to count.
"""

from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.data.tokens import Ints
from stepdistill.trainer.model.engines.engine import (
    ExportNote,
    Precision,
    library,
)
from stepdistill.trainer.model.families.t5 import scales
from stepdistill.trainer.model.student import Student

# It leaves out what T5Gemma does to its scores (caps), and answers otherwise.
FAMILIES = ("t5", "mt5", "umt5", "bart")
_FOLDER = "ctranslate2"
# An answer may be empty, as of all others, and inputs are cut already.
_GREEDILY: dict[str, Any] = {"beam_size": 1, "min_decoding_length": 0, "max_input_length": 0}
_BEYOND = 20.0  # exp(-20) is 2e-9
_FLOATS_AT_ONCE = 1 << 26  # of the vocabulary, 256 MiB
_MOST_WAYS = 16
_AT_ONCE = 64


class _Numbers:
    """A student's tokenizer as the converter asks for one: a token is called by its number."""

    def __init__(self, student: Student) -> None:
        tokenizer = student.tokenizer
        self._words = student.model.get_input_embeddings().num_embeddings
        self.pad_token, self.eos_token = str(tokenizer.pad_token_id), str(tokenizer.eos_token_id)
        unknown, begin = tokenizer.unk_token_id, tokenizer.bos_token_id
        self.unk_token = self.pad_token if unknown is None else str(unknown)
        self.bos_token = self.pad_token if begin is None else str(begin)

    def get_vocab(self) -> dict[str, int]:
        return {str(number): number for number in range(self._words)}

    def convert_ids_to_tokens(self, number: int) -> str:
        return str(number)


def write_ctranslate2(student: Student, folder: Path, precision: Precision) -> None:
    """The student in CTranslate2's format. Raises ConfigError: its family cannot be, or the library
    is missing."""
    config = student.model.config
    if config.model_type not in FAMILIES:
        raise ConfigError(
            f"--to ctranslate2: takes {', '.join(FAMILIES)}, this student is a "
            f"{config.model_type}: take --to onnx"
        )
    converters = library("ctranslate2.converters", "--to ctranslate2", "ctranslate2")

    class Converter(converters.TransformersConverter):
        """The library's own, of a student that is loaded already, and mended."""

        def load_model(self, *_: object, **__: object) -> Any:
            return student.model

        def load_tokenizer(self, *_: object, **__: object) -> Any:
            return _Numbers(student)

    if config.model_type == "bart":
        config.normalize_before = False  # which all are, and transformers no longer says
    else:
        # The converter goes by this whether outputs are made smaller before the head.
        config.tie_word_embeddings = scales(config)
    converter = Converter(str(folder), trust_remote_code=False)
    quantization = "int8" if precision == "int8" else "float32"
    converter.convert(str(folder / _FOLDER), quantization=quantization)


class _Said:
    """What a row says, each time from another first token, and how likely all other tokens were."""

    def __init__(self, result: Any, end: int) -> None:
        self._logits = result.logits
        self._ways = [
            # The end mark is no part of what is said, but has its step.
            [int(token) for token in tokens] + [end] * (len(steps) > len(tokens))
            for tokens, steps in zip(result.hypotheses, result.logits, strict=True)
        ]
        self._steps: dict[tuple[int, int], tuple[NDArray[np.float32], float]] = {}
        self._firsts: list[float] = []
        if len(self._ways) > 1:
            # Of the first step no more is given than what it adds to the score of all.
            self._firsts = [
                score - sum(self._log(way, step, tokens[step]) for step in range(1, len(tokens)))
                for way, (score, tokens) in enumerate(zip(result.scores, self._ways, strict=True))
            ]

    def log_of(self, ids: Ints) -> tuple[float, bool]:
        """(log probability of a text, or one that is no lower; whether it is its own)."""
        tokens, log = ids.tolist(), 0.0
        shared = [_shared(way, tokens) for way in self._ways]
        way = max(range(len(shared)), key=shared.__getitem__)
        for step, token in enumerate(tokens):
            if step > shared[way] or step >= len(self._logits[way]):
                return log, False
            if step or not self._firsts:
                log += self._log(way, step, token)
            elif shared[way]:
                log = self._firsts[way]
            else:  # less likely than all that it began with
                return min(self._firsts), False
        return log, True

    def _log(self, way: int, step: int, token: int) -> float:
        if (way, step) not in self._steps:
            logits = np.asarray(self._logits[way][step], dtype=np.float32)
            highest = logits.max()
            total = highest + np.log(np.exp(logits - highest).sum())
            self._steps[way, step] = logits, float(total)
        logits, total = self._steps[way, step]
        return float(logits[token]) - total


def _shared(one: list[int], other: list[int]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


class CTranslate2Engine:
    """A converted student on the CPU. threads: None for all cores."""

    def __init__(self, folder: Path, note: ExportNote, threads: int | None) -> None:
        runtime = library("ctranslate2", str(folder), "ctranslate2")
        # The precision is said, or the library takes another where it finds it quicker.
        compute = "int8_float32" if note.precision == "int8" else "float32"
        self._translator = runtime.Translator(
            str(folder / _FOLDER), device="cpu", compute_type=compute, intra_threads=threads or 0
        )
        self._note = note

    def greedy(self, rows: Sequence[Ints], longest: int) -> list[list[int]]:
        """See AnswerEngine."""
        said = self._translator.translate_batch(
            [_names(row) for row in rows],
            **_GREEDILY,
            max_decoding_length=longest,
        )
        return [[int(token) for token in each.hypotheses[0]] for each in said]

    def log_probabilities(
        self, rows: Sequence[Ints], spelt: Sequence[Sequence[Ints]]
    ) -> list[list[float]]:
        """See AnswerEngine. Of a text that another of its row makes not worth counting it may be
        a log that is higher than its own."""
        found: list[list[float]] = []
        left: list[tuple[int, int]] = []
        own: dict[int, list[int]] = {}
        for row, said in enumerate(self._said(rows, spelt)):
            logs = [said.log_of(ids) for ids in spelt[row]]
            found.append([log for log, _ in logs])
            own[row] = [place for place, (_, is_own) in enumerate(logs) if is_own]
            least = max((logs[place][0] for place in own[row]), default=-inf) - _BEYOND
            more = [place for place, (log, is_own) in enumerate(logs) if log > least and not is_own]
            # One that is known is scored, too: see `moved`.
            left += [(row, place) for place in (*more, *own[row][: len(more)][:1])]
        logs = self._score([(rows[row], spelt[row][place]) for row, place in left])
        for (row, place), log in zip(left, logs, strict=True):
            if place in own[row]:
                # All that was said is as much too likely: that it ends at once was left out.
                moved = log - found[row][place]
                for each in own[row]:
                    found[row][each] += moved
            else:
                found[row][place] = log
        return found

    def _said(self, rows: Sequence[Ints], spelt: Sequence[Sequence[Ints]]) -> Iterator[_Said]:
        """What each row says, some at once."""
        longest = max(len(ids) for texts in spelt for ids in texts)
        starts = max(len({int(ids[0]) for ids in texts if len(ids)}) for texts in spelt)
        # It may rather begin with a token of no text.
        ways = 1 if starts == 1 else min(starts + 2, _MOST_WAYS, self._note.words)
        size = max(1, _FLOATS_AT_ONCE // (ways * longest * self._note.words))
        for first in range(0, len(rows), size):
            for each in self._translator.translate_batch(
                [_names(row) for row in rows[first : first + size]],
                **_GREEDILY,
                max_decoding_length=longest,
                return_logits_vocab=True,
                return_alternatives=ways > 1,
                num_hypotheses=ways,
                return_scores=True,
                length_penalty=0,  # or scores are divided by lengths
            ):
                yield _Said(each, self._note.end)

    def _score(self, pairs: Sequence[tuple[Ints, Ints]]) -> list[float]:
        """The log probability of each (row, text)."""
        if not pairs:
            return []
        ended = [bool(len(ids)) and ids[-1] == self._note.end for _, ids in pairs]
        scored = self._translator.score_batch(
            [_names(row) for row, _ in pairs],
            [_names(ids[: len(ids) - ends]) for (_, ids), ends in zip(pairs, ended, strict=True)],
            max_batch_size=_AT_ONCE,
            max_input_length=0,
        )
        # It scores an end mark behind each text.
        return [
            sum(each.log_probs if ends else each.log_probs[:-1])
            for each, ends in zip(scored, ended, strict=True)
        ]


def _names(ids: Ints) -> list[str]:
    return [str(int(number)) for number in ids]
