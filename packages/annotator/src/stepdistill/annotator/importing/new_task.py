"""A task made of a file of one's own: `task.yaml`, first templates and a mix."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import yaml

from stepdistill.annotator.dataset.files import RawRow, reader_of
from stepdistill.common.errors import DatasetError, PromptError

# A label with more values than this is no closed set that one would list in a prompt.
MOST_CLASSES = 50
_NO_PLACE = re.compile(r"[.\[\]{}]")
_TEMPLATES = """\
# First words, made from the columns' names. Make them yours: this is what the teacher reads.
templates:
  - id: label-first
    about: The label on a line of its own, then the reasons.
    user: |
      {question}

      {fields}

      Answer in two lines:
      Label: {answer}
      Rationale: one or two sentences on what in the text shows it
  - id: reason-first
    about: Reasons first, then the label, as one thinks aloud.
    user: |
      {fields}

      {question}

      First give your reasons in one or two sentences about what in the text shows it. Then close
      with the words "Therefore, the answer is" and {answer}.
  - id: plain-sentence
    about: One sentence with both; the shortest prompt, the cheapest.
    user: |
      {fields}

      {question}
      Say it and the reason in one sentence: "The answer is ... because ..."
"""
_MIX = """\
# Label and rationale of a row come from the same answer: one request a row.
label: {label-first: 1.0}
rationale: {label-first: 1.0}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of a file are. id: None where rows are named by their number."""

    label: str
    texts: tuple[str, ...]
    id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The values of the label's column. counts: the commonest first; without: rows with none."""

    counts: dict[str, int]
    without: int

    @property
    def are_classes(self) -> bool:
        """Whether they are a closed set."""
        return len(self.counts) <= MOST_CLASSES


def find_columns(file: Path, label: str, texts: Sequence[str], name: str | None) -> Columns:
    """Check the named columns against the file's first row. Raises DatasetError.

    Without texts, every column but label and id is one; without a name, `id` is taken if it is
    there.
    """
    first = next(reader_of(file)(file), None)
    if first is None:
        raise DatasetError(f"{file}: holds no row")
    if name is None and "id" in first and "id" not in (label, *texts):
        name = "id"
    for column in (label, *texts, *([name] if name else [])):
        if column not in first:
            raise DatasetError(f"{file}: no column {column} (has: {', '.join(first)})")
    chosen = tuple(texts) or tuple(column for column in first if column not in (label, name))
    for column in (label, *chosen, *([name] if name else [])):
        if _NO_PLACE.search(column):
            raise DatasetError(f"{file}: rename the column {column}: no dots, brackets or braces")
    if not chosen or label in chosen:
        raise DatasetError(f"{file}: the text's columns must be others than the label's ({label})")
    return Columns(label=label, texts=chosen, id=name)


def count_labels(file: Path, columns: Columns) -> Labels:
    """One pass over the file. Raises DatasetError: without labels nothing could be judged."""
    counts = Counter(_text(row.get(columns.label)) for row in reader_of(file)(file))
    without = counts.pop("", 0)
    if not counts:
        raise DatasetError(f"{file}: column {columns.label} is empty: label some rows to judge by")
    return Labels(counts=dict(counts.most_common()), without=without)


def write_task(folder: Path, file: Path, columns: Columns, labels: Labels) -> None:
    """Write the task's folder, which must not be there. Raises PromptError."""
    if folder.exists():
        raise PromptError(f"{folder}: is there already: take another name, or edit its files")
    (folder / "mixes").mkdir(parents=True)
    names = {column: _placeholder(column) for column in columns.texts}
    (folder / "task.yaml").write_text(_task(folder.name, file, columns, labels), encoding="utf-8")
    classes = ", ".join(labels.counts) if labels.are_classes else None
    asked = f"Which {columns.label} fits this text?"
    words = _TEMPLATES.format(
        question=_lines(f"{asked} One of: {classes}." if classes else asked),
        answer=f"the {columns.label}" + (", one of these words" if classes else ""),
        fields="\n      ".join(f"{column}: {{{name}}}" for column, name in names.items()),
    )
    (folder / "templates.yaml").write_text(words, encoding="utf-8")
    (folder / "mixes" / "default.yaml").write_text(_MIX, encoding="utf-8")


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


def _lines(words: str) -> str:
    return "\n      ".join(wrap(words, 92, break_long_words=False, break_on_hyphens=False))


def _placeholder(column: str) -> str:
    name = re.sub(r"\W+", "_", column.casefold()).strip("_") or "text"
    return f"_{name}" if name[0].isdigit() else name


def text_of(row: RawRow, columns: Columns) -> str:
    """All that the teacher reads of a row."""
    return "\n".join(_text(row.get(column)) for column in columns.texts)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
