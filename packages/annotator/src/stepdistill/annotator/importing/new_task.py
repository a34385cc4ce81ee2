"""A task made of a file of one's own: its folder of prompts, and its rows in three splits.

A row's split depends on its text alone: rows that say the same share a split, so that none is
trained on and tested on, and rows that are added later move no others.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import orjson
import yaml

from stepdistill.annotator.dataset.files import RawRow, reader_of
from stepdistill.common.errors import DatasetError, PromptError
from stepdistill.common.uniform import uniform_of

SPLITS = ("train", "valid", "test")
MAX_CLASSES = 50  # a label with more values is free text: no prompt could list them
_SEED = 1  # of the splits; fixed, so that the same file always makes the same splits
_RESERVED = re.compile(r"[.\[\]{}]")  # `answer.text`, `choices[0]`: paths into a row, not columns
_TEMPLATES = Path(__file__).parent / "new-task-templates.txt"
_MIX = """\
# Label and rationale of a row come from the same answer: one request a row.
label: {label-first: 1.0}
rationale: {label-first: 1.0}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of a file are."""

    label: str
    texts: tuple[str, ...]  # what the teacher reads
    id: str | None  # None: rows are named by their number

    def text_of(self, row: RawRow) -> str:
        """All that the teacher reads of a row."""
        return "\n".join(_text(row.get(column)) for column in self.texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The values of the label's column."""

    counts: dict[str, int]  # rows by label, the commonest first
    unlabelled: int  # rows

    @property
    def are_classes(self) -> bool:
        """Whether they are a closed set."""
        return len(self.counts) <= MAX_CLASSES


def find_columns(file: Path, label: str, texts: Sequence[str], row_id: str | None) -> Columns:
    """Check the named columns against the file's first row. Raises DatasetError.

    texts: empty for all columns but label and id. row_id: None for `id`, if it is there.
    """
    first = next(reader_of(file)(file), None)
    if first is None:
        raise DatasetError(f"{file}: holds no row")
    if row_id is None and "id" in first and "id" not in (label, *texts):
        row_id = "id"
    ids = () if row_id is None else (row_id,)
    for column in (label, *texts, *ids):
        if column not in first:
            raise DatasetError(f"{file}: no column {column} (has: {', '.join(first)})")
    chosen = tuple(texts) or tuple(column for column in first if column not in (label, *ids))
    for column in (label, *chosen, *ids):
        if _RESERVED.search(column):
            raise DatasetError(f"{file}: rename the column {column}: no dots, brackets or braces")
    if not chosen or label in chosen:
        raise DatasetError(f"{file}: the text's columns must be others than the label's ({label})")
    return Columns(label=label, texts=chosen, id=row_id)


def count_labels(file: Path, columns: Columns) -> Labels:
    """One pass over the file. Raises DatasetError: without labels nothing could be judged."""
    counts = Counter(_text(row.get(columns.label)) for row in reader_of(file)(file))
    unlabelled = counts.pop("", 0)
    if not counts:
        raise DatasetError(f"{file}: column {columns.label} is empty: label some rows to judge by")
    return Labels(counts=dict(counts.most_common()), unlabelled=unlabelled)


def write_task(folder: Path, file: Path, columns: Columns, labels: Labels) -> None:
    """Write the task's folder, which must not be there. Raises PromptError."""
    if folder.exists():
        raise PromptError(f"{folder}: is there already: take another name, or edit its files")
    (folder / "mixes").mkdir(parents=True)
    question = f"Which {columns.label} fits this text?"
    if labels.are_classes:
        question += f" One of: {', '.join(labels.counts)}."
    lines = wrap(question, 92, break_long_words=False, break_on_hyphens=False)
    indent = "\n      "  # of a text in _TEMPLATES
    templates = _TEMPLATES.read_text(encoding="utf-8").format(
        question=indent.join(lines),
        answer=f"the {columns.label}" + (", one of these words" if labels.are_classes else ""),
        fields=indent.join(f"{column}: {{{_placeholder(column)}}}" for column in columns.texts),
    )
    for name, content in (
        ("task.yaml", _task(folder.name, file, columns, labels)),
        ("templates.yaml", templates),
        ("mixes/default.yaml", _MIX),
    ):
        (folder / name).write_text(content, encoding="utf-8")


def write_splits(
    file: Path, columns: Columns, folder: Path, shares: Mapping[str, float]
) -> dict[str, Counter[str]]:
    """Write `SPLIT.jsonl` of each split, which must not be there; how often each label is in it.

    Rows without a label go to train, where the teacher labels them. Raises DatasetError.
    """
    paths = {split: folder / f"{split}.jsonl" for split in SPLITS}
    existing = [str(path) for path in paths.values() if path.exists()]
    if existing:
        raise DatasetError(f"{', '.join(existing)}: there already: take another --data-out")
    folder.mkdir(parents=True, exist_ok=True)
    counts = {split: Counter[str]() for split in SPLITS}
    # Renamed in the end: a file that is damaged half-way leaves no split behind.
    parts = {split: path.with_suffix(".part") for split, path in paths.items()}
    with ExitStack() as stack:
        files = {split: stack.enter_context(part.open("wb")) for split, part in parts.items()}
        for row in reader_of(file)(file):
            label = _text(row.get(columns.label))
            split = _split(columns.text_of(row), shares) if label else "train"
            counts[split][label] += 1
            files[split].write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE, default=str))
    for split, part in parts.items():
        part.replace(paths[split])
    return counts


def _split(text: str, shares: Mapping[str, float]) -> str:
    drawn = uniform_of(_SEED, text.encode())
    for split in SPLITS[1:]:
        if drawn < shares[split]:
            return split
        drawn -= shares[split]
    return SPLITS[0]


def _task(name: str, file: Path, columns: Columns, labels: Labels) -> str:
    kind: dict[str, object] = {"kind": "text"}
    if labels.are_classes:
        # Aliases are other words that a teacher may use for a class.
        classes = {label: {"gold": [label], "aliases": []} for label in labels.counts}
        kind = {"kind": "classes", "classes": classes}
    fields = {_placeholder(column): column for column in columns.texts}
    content: dict[str, object] = {
        "task": name,
        "title": f"The {columns.label} of the rows of {file.name}",
        **({"id": columns.id} if columns.id else {}),
        "fields": fields,
        "label": kind,
        "gold": columns.label,
        "student": {"input": "\n".join(f"{{{field}}}" for field in fields)},
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _placeholder(column: str) -> str:
    """`Customer's text (raw)` -> `customer_s_text_raw`."""
    name = re.sub(r"\W+", "_", column.casefold()).strip("_") or "text"
    return f"_{name}" if name[0].isdigit() else name


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
