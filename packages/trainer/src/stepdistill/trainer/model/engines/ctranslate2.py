"""CTranslate2: a student in that library's own format, converted and computed by it.

Its tokens are named by their numbers: names of others' tokens may stand there twice, or be cut.

To score a text it reads the row anew, which for four texts takes four times as long. So a row is
first let speak, and what it might have said instead is known at each token: that gives the scores
of what it says and of all that leaves it at the last token, and bounds for all others. Those that
are not certain to be beyond any count are scored.
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
_FLOATS_AT_ONCE = 1 << 25  # of the vocabulary, 128 MiB
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
        open_texts: list[tuple[int, int]] = []
        longest = max(len(ids) for texts in spelt for ids in texts)
        for start, paths in self._paths(rows, longest):
            for row, path in enumerate(paths, start=start):
                bounds = [_bound(path, ids) for ids in spelt[row]]
                found.append([log for log, _ in bounds])
                known = [log for log, is_exact in bounds if is_exact]
                least = max(known) - _BEYOND if known else -inf
                open_texts += [
                    (row, place)
                    for place, (log, is_exact) in enumerate(bounds)
                    if not is_exact and log > least
                ]
        logs = self._score([(rows[row], spelt[row][place]) for row, place in open_texts])
        for (row, place), log in zip(open_texts, logs, strict=True):
            found[row][place] = log
        return found

    def _paths(
        self, rows: Sequence[Ints], longest: int
    ) -> Iterator[tuple[int, list[NDArray[np.float32]]]]:
        """(number of the first, for each row the log of the probability of every token at each step
        of its likeliest answer: (steps, words)), some rows at once."""
        size = max(1, _FLOATS_AT_ONCE // (longest * self._note.words))
        for start in range(0, len(rows), size):
            said = self._translator.translate_batch(
                [_names(row) for row in rows[start : start + size]],
                **_GREEDILY,
                max_decoding_length=longest,
                return_logits_vocab=True,
            )
            yield start, [self._logs(each.logits[0]) for each in said]

    def _logs(self, logits: Sequence[Any]) -> NDArray[np.float32]:
        steps = np.array(logits, dtype=np.float32).reshape(-1, self._note.words)
        steps -= steps.max(axis=-1, keepdims=True)
        return steps - np.log(np.exp(steps).sum(axis=-1, keepdims=True))

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


def _bound(path: NDArray[np.float32], ids: Ints) -> tuple[float, bool]:
    """(the log probability of a text, or one that is no lower; whether it is the text's own)."""
    log = 0.0
    for step, token in enumerate(ids.tolist()):
        if step == len(path):  # it goes on where the answer ends, or was cut
            return log, False
        log += float(path[step, token])
        if token != path[step].argmax():
            return log, step == len(ids) - 1
    return log, True


def _names(ids: Ints) -> list[str]:
    return [str(int(number)) for number in ids]
