"""The numbers that the original recorded for each template, beside the same numbers recomputed.

SRC/prompt-metadata/<task>.yaml       recorded: characteristics, costs, performance by template
SRC/query-results/<task>/train/<id>/  the answers that they were computed from
SRC/ground-truth/, SRC/datasets/      the gold labels, where one of them has the row
"""

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from stepdistill.annotator.importing.original import (
    QueryResult,
    RecordedNumbers,
    original_folder,
    read_recorded,
    read_templates,
)
from stepdistill.annotator.reading.characteristics import Characteristics, characteristics
from stepdistill.annotator.reading.original import OriginalReader
from stepdistill.annotator.reading.reading import Reading
from stepdistill.common.errors import DatasetError
from stepdistill.common.files.text_file import open_bytes
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.paths import getter
from stepdistill.common.task import TaskSpec

Numbers = dict[str, int | float]
_PROMPT_USD_PER_1000, _ANSWER_USD_PER_1000 = 0.0015, 0.002  # gpt-3.5-turbo's prices of 2023
_SPLIT = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One template's numbers by `section.field`, as recorded and as recomputed."""

    task: str
    template: str
    recorded: Mapping[str, float]
    recomputed: Mapping[str, float]  # without the fields that need an unknown gold label

    @property
    def differing(self) -> list[str]:
        """The fields whose two numbers are not equal."""
        pairs = ((name, value, self.recorded[name]) for name, value in self.recomputed.items())
        # NaN (a variance over no rationale) equals nothing, not even itself.
        return [name for name, a, b in pairs if a != b and not (math.isnan(a) and math.isnan(b))]

    @property
    def unknown(self) -> list[str]:
        """The recorded fields that cannot be recomputed."""
        return [name for name in self.recorded if name not in self.recomputed]


def compare_recorded(src: Path, task: TaskSpec) -> Iterator[Recorded]:
    """The templates that have both recorded numbers and recorded answers, in the file's order."""
    metadata = read_recorded(original_folder(src, "prompt-metadata") / f"{task.task}.yaml")
    templates = read_templates(original_folder(src, "prompt-templates") / f"{task.task}.yaml")
    golds = _golds(src, task)
    for number, sections in metadata.items():
        results = list(_results(src, task.task, number))
        parse = templates[number].as_template().original if number in templates else None
        if not results or parse is None:
            continue
        reader = OriginalReader(task.label, parse)
        readings = [reader.read(result.response, result.fields) for result in results]
        recomputed = {
            "characteristics": _characteristics(characteristics(readings)),
            "costs": _costs(results),
            "performance": _performance(task, readings, [golds.get(each.idx) for each in results]),
        }
        recorded = _flat(sections)
        yield Recorded(
            task=task.task,
            template=str(number),
            recorded=recorded,
            # Older records lack some fields: those are not compared.
            recomputed={name: n for name, n in _flat(recomputed).items() if name in recorded},
        )


def _flat(sections: RecordedNumbers) -> Numbers:
    return {
        f"{section}.{field}": value
        for section, fields in sections.items()
        for field, value in fields.items()
    }


def _characteristics(found: Characteristics) -> Numbers:
    variance = found.characters_variance
    return {
        "avg_len_of_explanations": round(found.per_rationale(found.characters), 2),
        "avg_nr_of_sentences": round(found.per_rationale(found.sentences), 2),
        "avg_nr_of_words": round(found.per_rationale(found.words), 2),
        "flesch_reading_ease": round(found.reading_ease or 0, 1),
        "n_none_responses": found.n_answers - found.n_rationales,
        "n_parse_errors": found.n_unread,
        "total_length_of_explanations": found.characters,
        "total_number_of_sentences": found.sentences,
        "total_number_of_words": found.words,
        "total_responses": found.n_rationales,
        "variance_length_of_explanations": round(variance, 3) if variance is not None else math.nan,
    }


def _costs(results: Sequence[QueryResult]) -> Numbers:
    n, sent, received, usd = len(results), 0, 0, 0.0
    # Money is added up an answer at a time, as the original did: so the last digit is the same.
    for result in results:
        prompt, answer = result.usage.prompt, result.usage.completion
        sent, received = sent + prompt, received + answer
        usd += prompt / 1000 * _PROMPT_USD_PER_1000 + answer / 1000 * _ANSWER_USD_PER_1000
    return {
        "avg_cost_per_query": round(usd / n, 5),
        "avg_nr_tokens_received": round(received / n, 2),
        "avg_nr_tokens_sent": round(sent / n, 2),
        "total_accumulated_costs": usd,
        "total_performed_queries": n,
        "total_tokens_received": received,
        "total_tokens_sent": sent,
    }


def _performance(
    task: TaskSpec, readings: Sequence[Reading], golds: Sequence[str | None]
) -> Numbers:
    """Nothing where a gold label is unknown; an answer without a label counts as wrong."""
    if any(gold is None for gold in golds):
        return {}
    kind = kind_of(task.label)
    n_correct = sum(
        reading.label is not None and kind.same(reading.label, gold or "")
        for reading, gold in zip(readings, golds, strict=True)
    )
    return {
        "accuracy": round(n_correct / len(golds), 4),
        "n_correct": n_correct,
        "n_wrong": len(golds) - n_correct,
    }


def _results(src: Path, task: str, template: int) -> Iterator[QueryResult]:
    folder = original_folder(src, "query-results") / task / _SPLIT / str(template)
    for path in sorted(folder.glob("responses.json*")):
        for where, row in _json_lines(path):
            try:
                yield QueryResult.model_validate(row)
            except ValidationError:
                raise DatasetError(f"{where}: not a query result") from None


def _golds(src: Path, task: TaskSpec) -> dict[int, str | None]:
    """Gold labels by row number: of the queried rows' own file, or else of the dataset's."""
    queried = src / "ground-truth" / f"{task.task}_{_SPLIT}_queried.jsonl"
    if queried.is_file():
        return {row["idx"]: row["label"] for _, row in _json_lines(queried)}
    dataset = src / "datasets" / task.task / f"{task.task}_{_SPLIT}.json"
    if not dataset.is_file() or task.gold is None:
        return {}
    gold_in, kind = getter(task.gold), kind_of(task.label)
    rows = enumerate(_json_lines(dataset))
    return {number: kind.gold(kind.gold_text(gold_in(row))) for number, (_, row) in rows}


def _json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line with its place for messages. Raises DatasetError."""
    number = 0
    try:
        with open_bytes(path) as file:
            for number, line in enumerate(file, start=1):
                yield f"{path} line {number}", orjson.loads(line)
    except (EOFError, OSError, zlib.error, orjson.JSONDecodeError) as error:
        raise DatasetError(f"{path} line {number}: cannot be read ({error})") from None
