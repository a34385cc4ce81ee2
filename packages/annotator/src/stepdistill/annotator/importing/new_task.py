"""A task made of a file of one's own: its folder of prompts, and its rows in three splits.

A row's split depends on its texts alone, and rows that say the same share the first one's, so that
none is trained on and tested on, and rows that are added later move no others.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from pathlib import Path

import yaml

from stepdistill.annotator.importing.origin import write_origin
from stepdistill.annotator.prompt.template import TemplateFile
from stepdistill.annotator.reading.read_back import lost_names
from stepdistill.common.errors import DatasetError, PromptError
from stepdistill.common.files.row_file import RawRow, json_line, read_file
from stepdistill.common.kinds.multi import list_text
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.placeholders import is_name
from stepdistill.common.task import LabelSpec
from stepdistill.common.uniform import uniform_of

SPLITS = ("train", "valid", "test")
_SEED = 1  # of the splits; fixed, so that the same file always makes the same splits
_RESERVED = re.compile(r"[{}]")  # `{a} {b}`: a text made of columns, and no column
_TEMPLATES = Path(__file__).parent / "new-task-templates.txt"
_MIX = """\
# Label and rationale of a row come from the same answer: one request a row. A teacher that takes no
# response_format is asked the same words without, and its answers are read as text.
label: {structured: 1.0}
rationale: {structured: 1.0}
"""
_ID = re.compile(
    # `id`, `ticket_id`, `row-uuid`, `index`; `ticketId`; what pandas calls columns without a name
    r"(?:^|[_ -])(?i:id|uid|uuid|guid|index|idx)$|[a-z]I[dD]$|^Unnamed: \d+$|^__index_level_\d+__$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of a file are."""

    label: str
    texts: tuple[str, ...]  # what the teacher reads
    id: str | None  # None: rows are named by their number
    left_out: tuple[str, ...] = ()  # that only number or name rows

    @property
    def fields(self) -> dict[str, str]:
        """placeholder -> column, for what the teacher reads: `Customer's text` is
        `{Customer_s_text}`."""
        found: dict[str, str] = {}
        for column in self.texts:
            name = plain = re.sub(r"\W+", "_", column).strip("_") or "text"
            if not is_name(name):  # it begins with a digit
                name = plain = f"_{plain}"
            for number in count(2):
                if name not in found:
                    break
                name = f"{plain}_{number}"
            found[name] = column
        return found

    def text_of(self, row: RawRow) -> str:
        """All that the teacher reads of a row."""
        return "\n".join(_text(row.get(column)) for column in self.texts)

    def drawn_by(self, row: RawRow) -> str:
        """What a row's split is drawn by: with what numbers or names it, in the file's order."""
        if not self.left_out:
            return self.text_of(row)
        return "\n".join(_text(row[name]) for name in row if name in (*self.texts, *self.left_out))


def find_columns(file: Path, label: str, texts: Sequence[str], row_id: str | None) -> Columns:
    """Check the named columns against the file's first row. Raises DatasetError.

    texts: empty for all columns but label and those that look like ids, which are no words to
    judge by. row_id: None for `id`, if it is there.
    """
    first = next(read_file(file), None)
    if first is None:
        raise DatasetError(f"{file}: holds no row")
    if row_id is None and "id" in first and "id" not in (label, *texts):
        row_id = "id"
    ids = () if row_id is None else (row_id,)
    for column in (label, *texts, *ids):
        if column not in first:
            raise DatasetError(f"{file}: no column {column} (has: {', '.join(first)})")
    others = [column for column in first if column not in (label, *ids)]
    left_out = () if texts else tuple(column for column in others if _names_rows(column))
    chosen = tuple(texts) or tuple(column for column in others if column not in left_out)
    if not chosen:  # nothing else is there to read
        chosen, left_out = left_out, ()
    for column in (label, *chosen, *ids):
        if _RESERVED.search(column):
            raise DatasetError(f"{file}: rename the column {column}: no braces")
    if not chosen or label in chosen:
        raise DatasetError(f"{file}: the text's columns must be others than the label's ({label})")
    return Columns(label=label, texts=chosen, id=row_id, left_out=left_out)


def _names_rows(column: str) -> bool:
    return _ID.search(column) is not None


def check_names(file: Path, columns: Columns, label: LabelSpec) -> None:
    """Raise DatasetError where a label is not read back in a form that the templates ask for."""
    content = yaml.safe_load(_templates(columns, label))
    for template in TemplateFile.model_validate(content).templates:
        for lost in lost_names(label, template)[:1]:
            raise DatasetError(
                f"{file}: column {columns.label}: {lost.replace(' in task.yaml', '')} "
                f"(template {template.id})"
            )


def write_task(
    folder: Path, file: Path, columns: Columns, label: LabelSpec, data: Path | None = None
) -> None:
    """Write the task's folder, which must not be there. data: where its splits lie.

    Raises PromptError.
    """
    if folder.exists():
        raise PromptError(f"{folder}: is there already: take another name, or edit its files")
    (folder / "mixes").mkdir(parents=True)
    for name, content in (
        ("task.yaml", _task(folder, file, columns, label, data)),
        ("templates.yaml", _templates(columns, label)),
        ("mixes/default.yaml", _MIX),
    ):
        (folder / name).write_text(content, encoding="utf-8")


def _templates(columns: Columns, label: LabelSpec) -> str:
    """The content of templates.yaml."""
    indent = "\n      "  # of a text in _TEMPLATES
    wording = kind_of(label).wording(columns.label)
    fields = [f"{column}: {{{name}}}" for name, column in columns.fields.items()]
    filled = _TEMPLATES.read_text(encoding="utf-8").format(
        question=indent.join(wording.question.splitlines()),
        answer=wording.answer,
        value=wording.value,
        fields=indent.join(fields),
    )
    return re.sub(r" +$", "", filled, flags=re.MULTILINE)


def write_splits(
    file: Path, columns: Columns, folder: Path, shares: Mapping[str, float]
) -> dict[str, Counter[str]]:
    """Write `SPLIT.jsonl` of each split, which must not be there, and where its rows stood; how
    often each label is in it.

    Rows without a label go to train, where the teacher labels them. Raises DatasetError.
    """
    paths = {split: folder / f"{split}.jsonl" for split in SPLITS}
    existing = [str(path) for path in paths.values() if path.exists()]
    if existing:
        raise DatasetError(f"{', '.join(existing)}: there already: take another --data-out")
    folder.mkdir(parents=True, exist_ok=True)
    counts = {split: Counter[str]() for split in SPLITS}
    drawn: dict[bytes, str] = {}  # a text's digest -> the split of the first row that has it
    split_of_rows: list[str] = []
    # Renamed in the end: a file that is damaged half-way leaves no split behind.
    parts = {split: path.with_suffix(".part") for split, path in paths.items()}
    with ExitStack() as stack:
        files = {split: stack.enter_context(part.open("wb")) for split, part in parts.items()}
        for row in read_file(file):
            label = list_text(row.get(columns.label)).strip()
            split = "train"
            if label:
                digest = blake2b(columns.text_of(row).encode(), digest_size=16).digest()
                split = drawn.setdefault(digest, _split(columns.drawn_by(row), shares))
            counts[split][label] += 1
            split_of_rows.append(split)
            files[split].write(json_line(row))
    for split, part in parts.items():
        part.replace(paths[split])
    write_origin(folder, file, paths, split_of_rows)
    return counts


def _split(text: str, shares: Mapping[str, float]) -> str:
    drawn = uniform_of(_SEED, text.encode())
    for split in SPLITS[1:]:
        if drawn < shares[split]:
            return split
        drawn -= shares[split]
    return SPLITS[0]


def _task(folder: Path, file: Path, columns: Columns, label: LabelSpec, data: Path | None) -> str:
    fields = columns.fields
    lies_in = {"path": data, "file": file} if data else {}
    content: dict[str, object] = {
        "task": folder.name,
        "title": f"The {columns.label} of the rows of {file.name}",
        **({"data": {key: _from(folder, path) for key, path in lies_in.items()}} if data else {}),
        **({"id": columns.id} if columns.id else {}),
        "fields": fields,
        "label": _label(label),
        "gold": columns.label,
        "student": {"input": "\n".join(f"{{{field}}}" for field in fields)},
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _from(folder: Path, path: Path) -> str:
    """A path as the files of this folder name it: a project that moves as a whole goes on."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return str(path.resolve())


def _label(label: LabelSpec) -> dict[str, object]:
    """As a person would write it: the parts of its kind, and room for aliases."""
    content = label.model_dump(exclude_defaults=True)
    if label.classes:
        content["classes"] = {name: each.model_dump() for name, each in label.classes.items()}
    return content


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
