"""Which column of a file is what: the label, the row's id, what is read, and what is left out.

A guess goes by names first and by values where names say nothing. What could be several things is
no guess: it is asked for, or refused with the candidates.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Self

from stepdistill.annotator.importing.survey import FLAGS, FileColumn, Survey, cell
from stepdistill.common.errors import DatasetError
from stepdistill.common.files.json_file import RawRow
from stepdistill.common.free_name import free_name
from stepdistill.common.kinds.kind import text_of
from stepdistill.common.paths import getter
from stepdistill.common.placeholders import named

_RESERVED = re.compile(r"[{}]")  # `{a} {b}`: a text made of columns, and no column
_ID = re.compile(
    # `id`, `ticket_id`, `row-uuid`, `index`; `ticketId`; what pandas calls columns without a name
    r"(?:^|[_ -])(?i:id|uid|uuid|guid|index|idx)$|[a-z]I[dD]$|^Unnamed: \d+$|^__index_level_\d+__$"
)
_INDEX = re.compile(r"(?i:index|idx)$|^Unnamed: \d+$|^__index_level_\d+__$")
# `T-1001`, `9f86d081-884c-4d65-9a2f-ea0c55ad015a`, `4711001`: names, and nothing to judge by.
_CODE = re.compile(r"[A-Za-z]{1,8}[-_#]?\d+|[0-9a-fA-F]{8}[0-9a-fA-F-]{8,}|\d{6,}")
# How columns of labels are called wherever rows come from, and how they are called after what the
# label says; the first of these that a file has is its label.
_LABELS = re.compile(
    r"(?i)(?:gold|true|target|final|human)?[_ -]?(?:labels?|class(?:es)?)|target|y"
)
_TOPICS = re.compile(
    r"(?i)(?:label|class)[_ -]?(?:text|name)|categor(?:y|ies)|sentiment|intent|topic|emotions?|"
    r"rating|stars|score|tags?|answer|verdict|genre|stance|toxic(?:ity)?"
)
_FEW = 50  # different values that a label has, as a guess
_ROWS_OF_A_VALUE = 3
_LONGEST = 40  # characters of a label on the average
_ENOUGH_ROWS = 10  # to tell by its values what a column is
_MOST_SHOWN = 6
_EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of a file are."""

    label: str  # as the label is called: its column, the column that several are made into
    texts: tuple[str, ...]  # what the teacher reads
    id: str | None = None  # None: rows are named by their number
    labels: tuple[str, ...] = ()  # where the label comes from; several make sets; none: no gold
    are_flags: bool = False  # several, each of which says yes or no to the class of its name
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])  # path -> why
    # A row's split is drawn by all its columns but these; None: by its texts alone.
    undrawn: frozenset[str] | None = None

    @property
    def fields(self) -> dict[str, str]:
        """placeholder -> path, for what the teacher reads: `Customer's text` is
        `{Customer_s_text}`."""
        return named(self.texts)

    @property
    def name(self) -> str:
        """What a prompt calls the label: `topic` of `meta.topic`."""
        return _last(self.label) if len(self.labels) == 1 else self.label

    @property
    def gold(self) -> str | None:
        """Where a row of the splits has its label."""
        return None if not self.labels else self.label

    def missing(self, row: RawRow) -> list[str]:
        """The paths of label, id and texts where a row has nothing, not even null."""
        used = (*self.texts, *self.labels, *((self.id,) if self.id else ()))
        return [path for path in used if path not in row and not _leads_on(path, row)]

    def text_of(self, row: RawRow) -> str:
        """All that the teacher reads of a row."""
        return "\n".join(_text(cell(path)(row)) for path in self.texts)

    def drawn_by(self, row: RawRow) -> str:
        """What a row's split is drawn by: with what numbers or names it, in the file's order."""
        if self.undrawn is None:
            return self.text_of(row)
        return "\n".join(_text(row[name]) for name in row if name not in self.undrawn)

    def label_of(self, row: RawRow) -> object:
        """A row's label as the file has it; None where it has none."""
        if len(self.labels) < 2:
            return cell(self.labels[0])(row) if self.labels else None
        said = {path: _text(cell(path)(row)) for path in self.labels}
        if not any(said.values()):
            return None
        if self.are_flags:
            return [path for path, text in said.items() if FLAGS[text.casefold()]]
        return list(dict.fromkeys(filter(None, said.values())))

    def without(self, paths: Sequence[str], why: str) -> Self:
        """The same with these columns left out, as long as there is something left to read."""
        texts = tuple(path for path in self.texts if path not in paths)
        if not texts:
            return self
        return replace(self, texts=texts, left_out={**self.left_out, **dict.fromkeys(paths, why)})


def _leads_on(path: str, row: RawRow) -> bool:
    try:
        getter(path)(row)
    except (LookupError, TypeError):
        return False
    return True


def find_columns(
    survey: Survey, labels: Sequence[str], texts: Sequence[str] = (), row_id: str | None = None
) -> Columns:
    """What each column is, by those that somebody names. Raises DatasetError.

    labels: none for a file without. texts: empty for all columns but label and those that look like
    ids, which are no words to judge by. row_id: None to go by names and values.
    """
    check_paths(survey, (*labels, *texts, *([row_id] if row_id else [])))
    # Ids had their own column before others were left out: rows stay in their splits.
    undrawn = {*labels, row_id or next((name for name in survey.columns if name == "id"), "")}
    row_id = row_id or guess_id(survey, (*labels, *texts))
    left_out = {} if texts else guess_left_out(survey, labels, row_id)
    chosen = tuple(texts) or tuple(
        path for path in survey.columns if path not in (*labels, row_id, *left_out)
    )
    if not chosen:  # nothing else is there to read
        chosen = tuple(path for path, why in left_out.items() if why != _EMPTY)
        left_out = {path: why for path, why in left_out.items() if why == _EMPTY}
    check_paths(survey, chosen)
    if not chosen or {*labels} & {*chosen}:
        raise DatasetError(
            f"{survey.file}: the text's columns must be others than the label's "
            f"({listed(labels) or 'none is there to read'})"
        )
    is_flat = all(path in row for row in survey.first[:1] for path in survey.columns)
    none = free_name("labels" if labels else "label", survey.columns)  # no column of the file
    return Columns(
        label=labels[0] if len(labels) == 1 else none,
        labels=tuple(labels),
        are_flags=len(labels) > 1 and as_flags(survey, labels),
        texts=chosen,
        id=row_id,
        left_out=left_out,
        undrawn=frozenset(undrawn) if is_flat and not texts else None,
    )


def check_paths(survey: Survey, paths: Iterable[str]) -> None:
    """Raises DatasetError: a column that somebody names is not there, or cannot be named so."""
    for path in paths:
        if _RESERVED.search(path):
            raise DatasetError(f"{survey.file}: rename the column {path}: no braces")
        there = path in survey.columns or any(cell(path)(row) is not None for row in survey.first)
        if not there:
            has = ", ".join(survey.columns)
            raise DatasetError(f"{survey.file}: no column {path} (has: {has})")


def guess_labels(survey: Survey) -> list[tuple[str, ...]]:
    """What the label may be, the likeliest first: one for sure, several in doubt, or none.

    Each is a column, or columns of 0 and 1 that are a set's classes.
    """
    able = [column for column in survey.columns.values() if _may_be_label(column, survey)]
    readable = [each.path for each in survey.columns.values() if each.filled]
    if len(readable) < 2:
        return []  # a label alone is nothing to read
    for pattern in (_LABELS, _TOPICS):
        named = [column.path for column in able if pattern.fullmatch(_last(column.path))]
        if named:
            return [(path,) for path in named]
    flags = tuple(column.path for column in able if _is_flag(column))
    flags = flags if len(flags) < len(readable) else ()
    rest = [(column.path,) for column in able if column.path not in flags]
    return [flags, *rest] if len(flags) > 1 else [*rest, *((path,) for path in flags)]


def _last(path: str) -> str:
    return re.split(r"\.(?=\w)", path)[-1]  # `topic` of `meta.topic`, and all of `Cat.`


def _may_be_label(column: FileColumn, survey: Survey) -> bool:
    """Few different values that come again and again; lists and scores that are called so."""
    if not column.filled or _names_rows(column, survey):
        return False
    name = _last(column.path)
    is_named = (_LABELS.fullmatch(name) or _TOPICS.fullmatch(name)) is not None
    if column.type == "list":
        return is_named
    if column.values is None or not 2 <= len(column.values) <= _FEW:
        is_score = column.type in ("number", "integer") and is_named
        return is_score or (_LABELS.fullmatch(name) is not None and not column.is_unique)
    repeats = column.filled >= (1 if is_named else _ROWS_OF_A_VALUE) * len(column.values)
    is_short = column.letters <= _LONGEST * column.filled
    return repeats and is_short and (is_named or column.type != "number")


def _is_flag(column: FileColumn) -> bool:
    return column.values is not None and all(text.casefold() in FLAGS for text in column.values)


def as_flags(survey: Survey, paths: Sequence[str]) -> bool:
    """Whether columns say yes or no, each to its own class; False where each holds names.

    Raises DatasetError: some do, and others do not.
    """
    flags = [path for path in paths if (found := survey.columns.get(path)) and _is_flag(found)]
    if flags and len(flags) < len(paths):
        odd = next(path for path in paths if path not in flags)
        raise DatasetError(
            f"{survey.file}: {', '.join(flags)} say yes or no, and {odd} has other values: one "
            "column with the label, several of 0 and 1, or several of names"
        )
    return bool(flags)


def guess_id(survey: Survey, taken: Iterable[str]) -> str | None:
    """The column that names each row once: `id`, else the only one that is called such."""
    able = [
        path
        for path, column in survey.columns.items()
        if path not in {*taken} and column.is_unique and column.filled == survey.rows
    ]
    ids = [path for path in able if path.casefold() == "id"]
    ids = ids or [path for path in able if _ID.search(path) and not _INDEX.search(path)]
    return ids[0] if len(ids) == 1 else None


def guess_left_out(survey: Survey, labels: Sequence[str], row_id: str | None) -> dict[str, str]:
    """What is not read, unless somebody says so: path -> why."""
    found: dict[str, str] = {}
    for path, column in survey.columns.items():
        if path in (*labels, row_id):
            continue
        if not column.filled:
            found[path] = _EMPTY
        elif _ID.search(path) or _names_rows(column, survey):
            found[path] = "names or numbers rows"
        elif survey.rows >= _ENOUGH_ROWS and column.is_constant_of(survey.rows):
            found[path] = "always the same"
    return found


def _names_rows(column: FileColumn, survey: Survey) -> bool:
    """Whether a column names or numbers rows, by its name or by what is in it."""
    if _ID.search(column.path):
        return True
    if not column.is_unique or column.filled < _ENOUGH_ROWS or column.spaced:
        return False
    samples = [_text(cell(column.path)(row)) for row in survey.first]
    if column.type == "integer" and _counts_up(samples):
        return True
    return column.type in ("integer", "text") and all(map(_CODE.fullmatch, samples))


def _counts_up(samples: Sequence[str]) -> bool:
    """Whether integers do, as numbers of rows do and hardly anything else."""
    return all(
        after.isdecimal() and before.isdecimal() and int(after) - int(before) == 1
        for before, after in pairwise(samples)
    )


def listed(paths: Sequence[str]) -> str:
    """Columns for a message, the first of them where there are many."""
    more = f" and {len(paths) - _MOST_SHOWN} more" if len(paths) > _MOST_SHOWN else ""
    return f"{', '.join(paths[:_MOST_SHOWN])}{more}"


def _text(value: object) -> str:
    return text_of(value).strip()
