"""ONNX: a student as two graphs, made by torch's own exporter, that onnxruntime computes.

reader.onnx     a row's tokens -> what each layer of the decoder looks up of it (keys and values)
speaker.onnx    these, what was said so far, and more tokens -> how likely given tokens are, and the
                likeliest next; said so far may be nothing, so texts are scored at once by it, too

classifier.onnx of a student with a head: a row's tokens -> what the head says of it

All are made of the model's own `forward`, so a family needs nothing of its own here. torch's older
exporter (TorchScript) is not used: it is deprecated, and cannot do T5Gemma 2.
"""

import logging
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from transformers.cache_utils import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from stepdistill.trainer.data.batches import pad_inputs
from stepdistill.trainer.data.tokens import Ints
from stepdistill.trainer.model.engines.engine import (
    ExportNote,
    Precision,
    by_row,
    library,
    lone_texts,
)
from stepdistill.trainer.model.families.family import start_of
from stepdistill.trainer.model.student import Student

_T = TypeVar("_T")
_READER, _SPEAKER, _CLASSIFIER = "reader.onnx", "speaker.onnx", "classifier.onnx"
_BYTES_AT_ONCE = 1 << 29  # of what is looked up, and of the vocabulary, for the texts of one turn
_FLOAT = 4  # bytes


class _Reader(torch.nn.Module):
    """What the decoder looks up of an input is computed once, however many texts answer it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.start = model, start_of(model)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(rows, longest) each -> keys and values of each layer: (rows, heads, longest, width)."""
        hidden = self.model.get_encoder()(input_ids=ids, attention_mask=mask)[0]
        # What is said here is thrown away, and what computes it is left out of the graph.
        said = self.model(
            decoder_input_ids=torch.full_like(ids[:, :1], self.start),
            encoder_outputs=BaseModelOutput(last_hidden_state=hidden),
            attention_mask=mask,
            use_cache=True,
        )
        return _pairs_of(said.past_key_values.cross_attention_cache)


class _Speaker(torch.nn.Module):
    def __init__(self, model: Any, width: int) -> None:
        super().__init__()
        self.model, self.width = model, width

    def forward(
        self,
        ids: torch.Tensor,
        labels: torch.Tensor,
        mask: torch.Tensor,
        read: tuple[torch.Tensor, ...],
        said: tuple[torch.Tensor, ...],
    ) -> tuple[torch.Tensor, ...]:
        """ids, labels: (texts, tokens). Gives the log probability of each label, the likeliest
        token behind the last, and `said` with these ids."""
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        for layer in range(len(read) // 2):
            pair = slice(2 * layer, 2 * layer + 2)
            for part, given in (
                (cache.self_attention_cache, said),
                (cache.cross_attention_cache, read),
            ):
                keys, values = given[pair]
                part.update(keys, values, layer)
            cache.is_updated[layer] = True  # so nothing is computed of the encoder's output:
        unread = torch.zeros(*mask.shape, self.width)
        output = self.model(
            decoder_input_ids=ids,
            encoder_outputs=BaseModelOutput(last_hidden_state=unread),  # pyright: ignore[reportArgumentType] - its stub is wrong
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
        )
        logs = output.logits.float().log_softmax(-1)
        told = logs.gather(-1, labels[..., None])[..., 0]
        now = _pairs_of(output.past_key_values.self_attention_cache)
        return told, logs[:, -1].argmax(-1), *now


def _pairs_of(cache: Any) -> tuple[torch.Tensor, ...]:
    return tuple(each for layer in cache.layers for each in (layer.keys, layer.values))


class _Classifier(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(rows, longest) each -> (rows, outputs of the head)."""
        return self.model(input_ids=ids, attention_mask=mask).logits


def write_onnx(student: Student, folder: Path, precision: Precision) -> None:
    """The student's graphs. Raises ConfigError: a library is missing."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        library(name, "--to onnx", "onnx")
    model = student.model.eval()
    # The others' kernels have no counterpart in ONNX, or none with all sizes open.
    model.set_attn_implementation("eager")
    write = _write_writer if student.head is None else _write_classifier
    for name in write(model, folder):
        if precision == "int8":
            _quantize(folder / name)


def _write_classifier(model: Any, folder: Path) -> tuple[str, ...]:
    inputs, mask = torch.full((3, 7), 3), torch.ones(3, 7, dtype=torch.long)
    table = {0: _open(), 1: _open()}
    given = (inputs, mask)
    module = _Classifier(model).eval()
    _write(module, given, folder / _CLASSIFIER, ["ids", "mask"], ["logits"], (table, table))
    return (_CLASSIFIER,)


def _write_writer(model: Any, folder: Path) -> tuple[str, ...]:
    # Sizes of two and more, and no two alike: those of one would be taken for fixed.
    ids, labels = torch.full((3, 5), 3), torch.full((3, 5), 4)
    inputs, mask = torch.full((3, 7), 3), torch.ones(3, 7, dtype=torch.long)
    reader = _Reader(model).eval()
    with torch.no_grad():
        read = reader(inputs, mask)
        width = model.get_encoder()(input_ids=inputs, attention_mask=mask)[0].shape[-1]
    said = tuple(torch.zeros(3, each.shape[1], 4, each.shape[3]) for each in read)
    table, pairs = {0: _open(), 1: _open()}, ({0: _open(), 2: _open()},) * len(read)
    here, before = _names("read", read), _names("said", said)
    after = [f"{name}_now" for name in before]
    _write(reader, (inputs, mask), folder / _READER, ["ids", "mask"], here, (table, table))
    _write(
        _Speaker(model, width).eval(),
        (ids, labels, mask, read, said),
        folder / _SPEAKER,
        ["ids", "labels", "mask", *here, *before],
        ["logs", "best", *after],
        (table, table, table, pairs, pairs),
    )
    return _READER, _SPEAKER


def _open() -> Any:
    return torch.export.Dim.DYNAMIC


def _names(what: str, arrays: Sequence[object]) -> list[str]:
    return [f"{what}_{place}" for place in range(len(arrays))]


def _write(  # budget: a graph has inputs and outputs, each with names and sizes
    module: torch.nn.Module,
    example: tuple[Any, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    sizes: tuple[Any, ...],
) -> None:
    with _quiet():
        torch.onnx.export(
            module,
            example,
            path,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=sizes,
            dynamo=True,
            external_data=True,  # a graph with its weights in it may not pass 2 GiB
            verbose=False,
        )


def _quantize(path: Path) -> None:
    """Weights in 8 bits, each column with its scale, and what they are multiplied by on the way.

    Of weights 7 bits are used: with 8, sums overflow on CPUs without VNNI, and answers would differ
    from machine to machine.
    """
    onnx = library("onnx", "--precision int8", "onnx")
    quantization = library("onnxruntime.quantization", "--precision int8", "onnx")
    full = onnx.load(path)  # with its weights, whose file gets others
    for file in (path, path.with_name(f"{path.name}.data")):
        file.unlink(missing_ok=True)
    with _quiet():
        quantization.quantize_dynamic(
            full,
            path,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            use_external_data_format=True,
        )


@contextmanager
def _quiet() -> Generator[None]:
    """Nothing of what these libraries say to their own authors."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _session(path: Path, threads: int | None) -> Any:
    """A graph, computed by onnxruntime on the CPU."""
    runtime = library("onnxruntime", str(path.parent), "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # errors
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a classifier's head says: (rows, outputs)."""

    logits: torch.Tensor


class OnnxClassifier:
    """Stands where the model of a student with a head stands. threads: None for all cores."""

    device = torch.device("cpu")

    def __init__(self, folder: Path, note: ExportNote, threads: int | None) -> None:
        self._session, self._note = _session(folder / _CLASSIFIER, threads), note

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Outputs:
        ids, mask = input_ids.numpy(), attention_mask.numpy()
        if self._note.precision == "fp32":
            [logits] = self._session.run(None, {"ids": ids, "mask": mask})
            return Outputs(torch.from_numpy(logits))
        # As of OnnxEngine: a row alone, and nothing beside it that is not read.
        lengths = mask.sum(axis=1).tolist()
        found = [
            self._session.run(None, {"ids": ids[[row], :n], "mask": mask[[row], :n]})[0]
            for row, n in enumerate(lengths)
        ]
        return Outputs(torch.from_numpy(np.concatenate(found)))


class OnnxEngine:
    """Both graphs of a student that says words. threads: None for all cores."""

    def __init__(self, folder: Path, note: ExportNote, threads: int | None) -> None:
        self._reader = _session(folder / _READER, threads)
        self._speaker = _session(folder / _SPEAKER, threads)
        self._note = note
        inputs = {each.name: each.shape for each in self._speaker.get_inputs()}
        self._before = [name for name in inputs if name.startswith("said_")]
        self._nothing = {
            name: (int(inputs[name][1]), int(inputs[name][3])) for name in self._before
        }

    def greedy(self, rows: Sequence[Ints], longest: int) -> list[list[int]]:
        """See AnswerEngine."""
        return [ids for part in self._parts(rows) for ids in self._greedy(part, longest)]

    def log_probabilities(
        self, rows: Sequence[Ints], spelt: Sequence[Sequence[Ints]]
    ) -> list[list[float]]:
        """See AnswerEngine."""
        parts = zip(self._parts(rows), self._parts(spelt), strict=True)
        return [logs for part, texts in parts for logs in self._log_probabilities(part, texts)]

    def _parts(self, rows: Sequence[_T]) -> list[Sequence[_T]]:
        """In int8 a row alone: what is computed at once shares one scale, so that with neighbours
        an answer would hang on them."""
        return [rows] if self._note.precision == "fp32" else [[row] for row in rows]

    def _greedy(self, rows: Sequence[Ints], longest: int) -> list[list[int]]:
        mask, feed = self._read(rows)
        feed |= {"mask": mask, **self._said_nothing(len(rows))}
        last, found = np.full(len(rows), self._note.start), []
        is_done = np.zeros(len(rows), dtype=bool)
        wanted = ["best", *(f"{name}_now" for name in self._before)]
        for _ in range(longest):
            ids = last[:, None]
            last, *now = self._speaker.run(wanted, {**feed, "ids": ids, "labels": ids})
            feed |= dict(zip(self._before, now, strict=True))
            last = np.where(is_done, self._note.end, last)
            found.append(last)
            is_done |= last == self._note.end
            if is_done.all():
                break
        return [[int(i) for i in ids if i != self._note.end] for ids in np.stack(found, axis=1)]

    def _log_probabilities(
        self, rows: Sequence[Ints], spelt: Sequence[Sequence[Ints]]
    ) -> list[list[float]]:
        mask, read = self._read(rows)
        texts = lone_texts(spelt)
        bytes_of_row = sum(array[0].nbytes for array in read.values())
        found: list[float] = []
        for turn in _turns(texts, bytes_of_row, 2 * _FLOAT * self._note.words):
            answers = [ids for _, ids in turn]
            labels, real = (each.numpy() for each in pad_inputs(answers))
            starts = np.full((len(turn), 1), self._note.start)
            rows_of = [row for row, _ in turn]
            feed = {
                "ids": np.concatenate([starts, labels[:, :-1]], axis=1),
                "labels": labels,
                "mask": mask[rows_of],
                **{name: array[rows_of] for name, array in read.items()},
                **self._said_nothing(len(turn)),
            }
            [logs] = self._speaker.run(["logs"], feed)
            found += (logs * real).sum(axis=1).tolist()
        return by_row(found, spelt)

    def _read(self, rows: Sequence[Ints]) -> tuple[Any, dict[str, Any]]:
        """(mask, what the decoder looks up of each row)."""
        ids, mask = (each.numpy() for each in pad_inputs(rows))
        read = self._reader.run(None, {"ids": ids, "mask": mask})
        return mask, dict(zip(_names("read", read), read, strict=True))

    def _said_nothing(self, texts: int) -> dict[str, Any]:
        return {
            name: np.zeros((texts, heads, 0, width), dtype=np.float32)
            for name, (heads, width) in self._nothing.items()
        }


def _turns(
    texts: list[tuple[int, Ints]], bytes_of_row: int, bytes_of_token: int
) -> Iterator[list[tuple[int, Ints]]]:
    """As many texts at once as there is room for."""
    turn: list[tuple[int, Ints]] = []
    size = 0
    for text in texts:
        more = bytes_of_row + len(text[1]) * bytes_of_token
        if turn and size + more > _BYTES_AT_ONCE:
            yield turn
            turn, size = [], 0
        turn.append(text)
        size += more
    if turn:
        yield turn
