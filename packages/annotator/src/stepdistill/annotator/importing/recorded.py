"""What the original recorded for each template, beside the same numbers computed anew.

SRC/prompt-metadata/<task>.yaml       recorded: characteristics, costs, performance by template
SRC/query-results/<task>/train/<id>/  the answers they were computed from
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

from stepdistill.annotator.dataset.files import open_bytes
from stepdistill.annotator.dataset.rows import gold_label, place
from stepdistill.annotator.importing.files import (
    QueryResult,
    as_template,
    folder_of,
    read_any_yaml,
    read_templates,
)
from stepdistill.annotator.money.tokens import count_tokens
from stepdistill.annotator.reading.characteristics import Characteristics, characteristics
from stepdistill.annotator.reading.original import OriginalReader
from stepdistill.annotator.reading.reading import Reading
from stepdistill.common.errors import DatasetError, PromptError
from stepdistill.common.labels import same_label
from stepdistill.common.task import TaskSpec

Numbers = dict[str, float]
TOKENS_OF_THE_FRAME = 10
_USD_PER_1000_SENT, _USD_PER_1000_RECEIVED = 0.0015, 0.002
_SPLIT = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One template's numbers by section and field, as recorded and as computed anew.

    A field that cannot be computed (no gold label is known) is missing from `again`.
    """

    task: str
    template: str
    recorded: Mapping[str, float]
    again: Mapping[str, float]

    @property
    def differing(self) -> list[str]:
        """The fields whose two numbers are not equal."""
        return [name for name, value in self.again.items() if not _same(value, self.recorded[name])]

    @property
    def unknown(self) -> list[str]:
        """The recorded fields that cannot be computed anew."""
        return [name for name in self.recorded if name not in self.again]


def compare_recorded(src: Path, task: TaskSpec) -> Iterator[Recorded]:
    """The templates that have both recorded numbers and recorded answers, in the file's order."""
    recorded = _recorded(folder_of(src, "prompt-metadata") / f"{task.task}.yaml")
    templates = read_templates(folder_of(src, "prompt-templates") / f"{task.task}.yaml")
    golds = _golds(src, task)
    for number, sections in recorded.items():
        results = list(_results(src, task.task, number))
        parse = as_template(templates[number]).original if number in templates else None
        if not results or parse is None:
            continue
        reader = OriginalReader(task.label, parse)
        readings = [reader.read(result.response, result.fields) for result in results]
        found = {
            "characteristics": _characteristics(characteristics(readings)),
            "costs": _costs(results),
            "performance": _performance(task, readings, [golds.get(each.idx) for each in results]),
        }
        yield Recorded(
            task=task.task,
            template=str(number),
            recorded=sections,
            again={name: value for name, value in _flat(found).items() if name in sections},
        )


def _recorded(path: Path) -> dict[int, Numbers]:
    content = read_any_yaml(path)
    try:
        return {number: _flat(sections) for number, sections in content.items()}
    except AttributeError:
        raise PromptError(f"{path}: not the original's metadata (sections by template)") from None


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _flat(sections: Mapping[str, Mapping[str, float]]) -> Numbers:
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
    """Tokens and money; added up an answer at a time, so that the last digit is the same, too."""
    n, sent, received, usd = len(results), 0, 0, 0.0
    for result in results:
        prompt = count_tokens(result.complete_prompt) + TOKENS_OF_THE_FRAME
        completion = count_tokens(result.response)
        sent, received = sent + prompt, received + completion
        usd += prompt / 1000 * _USD_PER_1000_SENT + completion / 1000 * _USD_PER_1000_RECEIVED
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
    """Nothing, where a gold label is not known; no label counts as a wrong one."""
    if any(gold is None for gold in golds):
        return {}
    n_correct = sum(
        reading.label is not None and same_label(task.label.kind, reading.label, gold or "")
        for reading, gold in zip(readings, golds, strict=True)
    )
    return {
        "accuracy": round(n_correct / len(golds), 4),
        "n_correct": n_correct,
        "n_wrong": len(golds) - n_correct,
    }


def _results(src: Path, task: str, template: int) -> Iterator[QueryResult]:
    folder = folder_of(src, "query-results") / task / _SPLIT / str(template)
    for path in sorted(folder.glob("responses.json*")):
        for where, row in _json_lines(path):
            try:
                yield QueryResult.model_validate(row)
            except ValidationError:
                raise DatasetError(f"{where}: not a query result") from None


def _golds(src: Path, task: TaskSpec) -> dict[int, str | None]:
    """Gold labels by row number, from the queried rows' own file or else from the dataset's."""
    queried = src / "ground-truth" / f"{task.task}_{_SPLIT}_queried.jsonl"
    if queried.is_file():
        return {row["idx"]: row["label"] for _, row in _json_lines(queried)}
    dataset = src / "datasets" / task.task / f"{task.task}_{_SPLIT}.json"
    if not dataset.is_file() or task.gold is None:
        return {}
    gold_in = place(task.gold)
    return {
        number: gold_label(task.label, gold_in(row))
        for number, (_, row) in enumerate(_json_lines(dataset))
    }


def _json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line with its place for messages. Raises DatasetError."""
    number = 0
    try:
        with open_bytes(path) as file:
            for number, line in enumerate(file, start=1):
                yield f"{path} line {number}", orjson.loads(line)
    except (EOFError, OSError, zlib.error, orjson.JSONDecodeError) as error:
        raise DatasetError(f"{path} line {number}: cannot be read ({error})") from None
