"""The column with the label: what its values are, and which kind of label they make.

lists, or texts of recurring parts with `;`, `|` or `,` between them   multi
numbers with a fraction, too many whole ones to list, or called scores number
few different values                                                   classes
anything else                                                          text
"""

import re
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pydantic import ValidationError

from stepdistill.annotator.importing.columns import Columns, listed
from stepdistill.annotator.importing.survey import Survey, cell
from stepdistill.common.errors import DatasetError
from stepdistill.common.files.row_file import class_names
from stepdistill.common.kinds.kind import whole_number
from stepdistill.common.kinds.multi import list_text, parts_of
from stepdistill.common.kinds.number import number_in
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.labels import plain
from stepdistill.common.task import NO_CLASS, ClassSpec, LabelKind, LabelSpec

MAX_CLASSES = 200  # no prompt lists more; of public label sets the largest has 151
_FEW = 50  # so many values are a closed set, however few rows there are
_ROWS_OF_A_CLASS = 3  # of more values it takes so many rows to each, or they are free text
_LEAST_SETS = 2  # rows with several parts: one alone may be a name with a comma
# Scales that ratings are usually on.
_SCALES = ((0.0, 1.0), (-1.0, 1.0), (1.0, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0), (0.0, 100.0))
# Whole numbers of a column that is called so are a scale, and not names: 4 is nearer to 5 than 1.
_SCORE = re.compile(r"(?i)(?:\w+[_ -])?(?:rating|stars|score|points|grade)s?")
_LEAST_SCORES = 2  # yes and no are no scale
_INTEGER = re.compile(r"[-+]?\d+(?:\.0+)?")
_STRATA = 5  # of numbers, so that each split has small ones and large ones
_TOLERANCE = 0.1  # of the values' range: what is no further from the gold label is right


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelColumn:
    """The values of the label's column, and what is made of them."""

    counts: dict[str, int]  # rows by label, the commonest first; the names alone where 0 have one
    unlabelled: int  # rows
    label: LabelSpec
    why: str  # what the kind was taken from, for people

    def by_label(self, rows: Mapping[str, int]) -> Counter[str]:
        """Rows by the values of the column, by label."""
        counted, kind = Counter[str](), kind_of(self.label)
        for value, n in rows.items():
            is_class = self.label.kind == "classes" and value not in self.counts
            named = (kind.gold(value) if is_class else None) or whole_number(value)
            counted[value if value in self.counts else named] += n
        return counted

    def stratum(self, value: str) -> str:
        """What a row with this label is to be found by in each split: its class, the rarest of
        several, the fifth of all numbers that it is in."""
        kind = kind_of(self.label)
        gold = kind.gold(value) or ""
        if self.label.kind == "number":
            number = number_in(gold)
            return "" if number is None else str(bisect(self._fifths(), number))
        if self.label.kind == "text":
            return ""
        ranks = {name: rank for rank, name in enumerate(self.label.classes)}  # the rarest is last
        return max(kind.classes_in(gold), key=lambda name: ranks.get(name, -1), default=gold)

    def names_in(self, value: str) -> tuple[str, ...]:
        """The classes that a value of the column names."""
        kind = kind_of(self.label)
        return kind.classes_in(kind.gold(value) or "")

    def _fifths(self) -> list[float]:
        return _fifths(tuple(self.counts.items()))


@lru_cache(1)
def _fifths(counts: tuple[tuple[str, int], ...]) -> list[float]:
    known = sorted((number_in(value) or 0.0, rows) for value, rows in counts)
    total, below, bounds = sum(rows for _, rows in known), 0, list[float]()
    for number, rows in known:
        if below >= total * (len(bounds) + 1) / _STRATA:
            bounds.append(number)
        below += rows
    return bounds


def read_labels(
    survey: Survey, columns: Columns, kind: LabelKind | None = None
) -> tuple[LabelColumn, list[str]]:
    """What the file's labels are, in one pass, and the columns that say the same in other words,
    which would give the label away. kind: None to go by the values.

    Raises DatasetError: no row has a label, or the values are not of that kind.
    """
    values = Counter[str]()
    suspects = {path: cell(path) for path in _suspects(survey, columns)}
    seen: dict[str, dict[str, str]] = {path: {} for path in suspects}  # value -> label
    for row in survey.read():
        value = list_text(columns.label_of(row)).strip()
        values[value] += 1
        for path, get in [*suspects.items()] if value else ():
            other = list_text(get(row)).strip()
            if seen[path].setdefault(other, value) != value:
                del suspects[path]
    where = f"{survey.file}: column {listed(columns.labels)}"
    labels = label_column(values, where, kind, is_score=_SCORE.fullmatch(columns.name) is not None)
    return _named(labels, survey, columns), [*suspects]


def _named(labels: LabelColumn, survey: Survey, columns: Columns) -> LabelColumn:
    """Labels by the names that the file has for their numbers, where it has some."""
    names = class_names(survey.files[0]).get(columns.label, [])
    values = {name: value for value, name in zip(map(str, range(len(names))), names, strict=True)}
    if labels.label.kind != "classes" or not labels.counts.keys() <= {*values.values()}:
        return labels
    counts = {names[int(value)]: n for value, n in labels.counts.items()}
    classes = {name: ClassSpec(gold=[int(values[name])]) for name in counts}
    label = LabelSpec(kind="classes", classes=classes)
    return replace(labels, counts=counts, label=label, why=f"{labels.why}, named by the file")


def _suspects(survey: Survey, columns: Columns) -> Iterator[str]:
    for path, column in survey.columns.items():
        few = column.values is not None and 2 <= len(column.values) <= MAX_CLASSES
        often = few and column.filled >= _ROWS_OF_A_CLASS * len(column.values or ())
        if often and path not in (*columns.labels, columns.id):
            yield path


def named_labels(names: Sequence[str], kind: LabelKind, rows: int) -> LabelColumn:
    """Labels that somebody names, of a file that has none. Raises DatasetError."""
    try:
        classes = {name: ClassSpec() for name in names}
        label = LabelSpec(kind=kind, classes=classes)
    except ValidationError as error:
        raise DatasetError(f"--labels {','.join(names)}: {error.errors()[0]['msg']}") from None
    why = f"{len(names)} names of --labels" if names else "as there are no labels to judge by"
    return LabelColumn(counts=dict.fromkeys(names, 0), unlabelled=rows, label=label, why=why)


def label_column(
    values: Counter[str], where: str, kind: LabelKind | None = None, *, is_score: bool = False
) -> LabelColumn:
    """What these labels of rows make; "" is none. where: for messages; is_score: whether their
    column is called as numbers are.

    Raises DatasetError: no row has a label, or the values are not of that kind.
    """
    values = Counter(values)
    unlabelled = values.pop("", 0)
    if all(_INTEGER.fullmatch(value) for value in values):
        # A gap in a column of integers makes fractions of them: `1.0` is the class 1.
        values = Counter(whole_number(value) for value in values.elements())
    if not values:
        raise DatasetError(
            f"{where} is empty: label some rows to judge by, or name what there is to choose from "
            "by --labels a,b,c"
        )
    counts = dict(values.most_common())
    guessed, why = _guess(counts, is_score=is_score)
    try:
        label = _spec(kind or guessed, counts)
        _check_gold(label, counts)
    except ValueError as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise DatasetError(f"{where} as {kind or guessed}: {what}") from None
    if label.kind == "classes":
        counts = {name: sum(counts[value] for value in same) for name, same in _spellings(counts)}
        why = f"{len(counts)} different values" if guessed == "classes" else why
    why = why if kind in (None, guessed) else f"as --kind says; {len(counts):,} different values"
    return LabelColumn(counts=counts, unlabelled=unlabelled, label=label, why=why)


def _guess(counts: Mapping[str, int], *, is_score: bool) -> tuple[LabelKind, str]:
    n = len(counts)
    known = [number for value in counts if (number := number_in(value)) is not None]
    are_many = n > _FEW or (is_score and n > _LEAST_SCORES)
    if len(known) == n and (are_many or any(not each.is_integer() for each in known)):
        return "number", f"{n:,} different numbers from {min(known):g} to {max(known):g}"
    for split, how in _SPLITS:
        if _is_of_sets(counts, split):
            return "multi", f"{len(_names(counts, split))} names, several to a row {how}"
    are_repeated = sum(counts.values()) >= _ROWS_OF_A_CLASS * n
    if n <= _FEW or (n <= MAX_CLASSES and are_repeated):
        return "classes", f"{n} different values"
    return "text", f"{n:,} different labels: free text, not a closed set of classes"


def _in_lists(value: str) -> list[str]:
    return parts_of(value) or []


def _at(sign: str) -> Callable[[str], list[str]]:
    return lambda value: [part for each in value.split(sign) if (part := each.strip())]


# How the names of a set may stand in one value, the safest first.
_SPLITS: tuple[tuple[Callable[[str], list[str]], str], ...] = (
    (_in_lists, "in lists"),
    (_at(";"), "with ; between them"),
    (_at("|"), "with | between them"),
    (_at(","), "with , between them"),
)


def _is_of_sets(counts: Mapping[str, int], split: Callable[[str], list[str]]) -> bool:
    """Whether the values, taken apart in this way, are sets of a few names."""
    names = Counter(part for value in counts for part in split(value))
    if split is _in_lists:
        return all(parts_of(value) is not None for value in counts) and bool(names)
    # The parts of a set are found in others, too; those of `Yes, always` are only there.
    shared = sum(times > 1 for times in names.values())
    several = sum(len(split(value)) > 1 for value in counts)
    is_few = len(names) <= MAX_CLASSES and len(names) < len(counts)
    return several >= _LEAST_SETS and is_few and 2 * shared >= len(names)


def _names(counts: Mapping[str, int], split: Callable[[str], list[str]]) -> list[str]:
    """The names that the values are made of, the commonest first; `none` is the empty set."""
    rows = Counter[str]()
    for value, n in counts.items():
        rows.update(dict.fromkeys(split(value), n))
    return [name for name, _ in rows.most_common() if name.casefold() != NO_CLASS]


def _spec(kind: LabelKind, counts: Mapping[str, int]) -> LabelSpec:
    if kind == "number":
        return _number(list(counts))
    if kind == "classes":
        classes = {name: ClassSpec(gold=[*same]) for name, same in _spellings(counts)}
        return LabelSpec(kind=kind, classes=_few_enough(classes))
    if kind == "multi":
        fits = (split for split, _ in _SPLITS if _is_of_sets(counts, split))
        names = _names(counts, next(fits, None) or _first_split(counts))
    else:
        return LabelSpec(kind=kind)
    # Aliases are other words that a teacher may use for a class.
    classes = {name: ClassSpec(gold=[name]) for name in names}
    return LabelSpec(kind=kind, classes=_few_enough(classes))


def _few_enough(classes: dict[str, ClassSpec]) -> dict[str, ClassSpec]:
    if len(classes) > MAX_CLASSES:
        n = f"{len(classes):,}"
        raise ValueError(f"{n} different names, and no prompt lists over {MAX_CLASSES}")
    return classes


def _spellings(counts: Mapping[str, int]) -> list[tuple[str, list[str]]]:
    """The values by what they are compared by: `Refund` and `REFUND` are one class, by the name
    that is there most; values come the commonest first."""
    same = dict[str, list[str]]()
    for value in counts:
        same.setdefault(plain(value), []).append(value)
    found = [(each[0], each) for each in same.values()]
    return sorted(found, key=lambda each: -sum(counts[value] for value in each[1]))


def _check_gold(label: LabelSpec, counts: Mapping[str, int]) -> None:
    """Raises ValueError where a value is no label: its rows could never be right."""
    kind = kind_of(label)
    for value, rows in counts.items():
        gold = kind.gold(value)
        # The fields of a row are asked for by options alone, which no file of values is made into.
        wrong = "cannot be read as a label" if gold is None else kind.check(gold, {})
        if wrong is not None:
            raise ValueError(f"`{value[:40]}` ({rows:,} rows): {wrong}")


def _first_split(counts: Mapping[str, int]) -> Callable[[str], list[str]]:
    """Where sets are said to be, and the values do not look it: the first sign that is there."""
    for split, _ in _SPLITS:
        if any(len(split(value)) > 1 for value in counts):
            return split
    return lambda value: [value]


def _number(values: Sequence[str]) -> LabelSpec:
    """A number on one of the usual scales, where the values reach both of its ends."""
    known = [number for value in values if (number := number_in(value)) is not None]
    if len(known) < len(values):
        odd = next(value for value in values if number_in(value) is None)
        raise ValueError(f"`{odd[:40]}` is not a number")
    ends = min(known), max(known)
    # Rounded to one digit: `0.4` of a scale from 1 to 5.
    tolerance = float(f"{_TOLERANCE * (ends[1] - ends[0]):.1g}")
    if ends not in _SCALES:
        # Bounds that nobody named would only be guessed.
        return LabelSpec(kind="number", tolerance=tolerance)
    return LabelSpec(kind="number", minimum=ends[0], maximum=ends[1], tolerance=tolerance)
