"""What `annotate new` makes of a file: its columns, its labels, and what a person should know."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from stepdistill.annotator.importing.columns import Columns, find_columns, guess_labels, listed
from stepdistill.annotator.importing.label_column import LabelColumn, named_labels, read_labels
from stepdistill.annotator.importing.survey import Survey, cell
from stepdistill.annotator.settings.importing import NewSettings
from stepdistill.common.errors import DatasetError
from stepdistill.common.kinds.kind import text_of

_RARE = 5  # rows of a class with fewer are too few to learn it from, or to be judged on
_SHOWN = 5
_AGAIN = "says the label again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a file is taken for."""

    survey: Survey
    columns: Columns
    labels: LabelColumn
    remarks: tuple[str, ...] = ()

    def role(self, path: str) -> str:
        """What a column is taken for, in a word or few."""
        if path in self.columns.labels:
            return "label"
        if path == self.columns.id:
            return "id"
        return self.columns.left_out.get(path) or ("text" if path in self.columns.texts else "")


class NoLabelError(DatasetError):
    """Nobody says which column is the label, and the file does not either."""

    def __init__(self, survey: Survey, candidates: Sequence[tuple[str, ...]]) -> None:
        self.candidates = candidates
        ways = "a file without labels takes --labels a,b,c, or --unlabelled for free text"
        if candidates:
            each = " or ".join(_described(survey, paths) for paths in candidates)
            problem = f"is the label {each}? Name it by --label (--yes takes the first); {ways}"
        else:
            problem = (
                f"no column looks like a label (has: {listed(list(survey.columns))}): name it by "
                f"--label; {ways}"
            )
        super().__init__(f"{survey.file}: {problem}")


def find(settings: NewSettings, survey: Survey) -> Found:
    """What a file is taken for. Raises DatasetError; NoLabelError where nobody names its label, and
    the file does not say for sure."""
    has_gold = not (settings.labels or settings.unlabelled)
    columns, labels = (_with_gold if has_gold else _without_gold)(settings, survey)
    found = Found(survey=survey, columns=columns, labels=labels)
    return replace(found, remarks=tuple(_remarks(found, settings)))


def _with_gold(settings: NewSettings, survey: Survey) -> tuple[Columns, LabelColumn]:
    paths = settings.label or _guessed(settings, survey)
    columns, labels, again = _read(settings, survey, paths)
    if not settings.label and (named := _in_words(survey, paths, again)):
        columns, labels, again = _read(settings, survey, named)
    return columns if settings.text else columns.without(again, _AGAIN), labels


def _read(
    settings: NewSettings, survey: Survey, paths: tuple[str, ...]
) -> tuple[Columns, LabelColumn, list[str]]:
    """With the label in these columns; and what says the label again."""
    columns = find_columns(survey, paths, settings.text, settings.id)
    kind = "multi" if len(paths) > 1 else settings.kind
    return columns, *read_labels(survey, columns, kind)


def _guessed(settings: NewSettings, survey: Survey) -> tuple[str, ...]:
    """The label that is guessed, where nobody names one. Raises NoLabelError."""
    candidates = guess_labels(survey)
    if len(candidates) != 1 and not (candidates and settings.yes):
        raise NoLabelError(survey, candidates)
    return candidates[0]


def _in_words(survey: Survey, labels: tuple[str, ...], again: list[str]) -> tuple[str, ...] | None:
    """The column that has the names, where the guessed one has their numbers."""
    if len(labels) != 1 or survey.columns[labels[0]].type != "integer":
        return None
    named = [path for path in again if survey.columns[path].type == "text"]
    named = [path for path in named if path.startswith(labels[0])] or named  # label, label_text
    return (named[0],) if len(named) == 1 else None


def _without_gold(settings: NewSettings, survey: Survey) -> tuple[Columns, LabelColumn]:
    columns = find_columns(survey, (), settings.text, settings.id)
    kind = settings.kind or ("classes" if settings.labels else "text")
    labels = named_labels(settings.labels, kind, survey.rows)
    if settings.labels and not settings.text:
        columns = columns.without(_with_these(survey, settings.labels), _AGAIN)
    return columns, labels


def _with_these(survey: Survey, names: Sequence[str]) -> list[str]:
    """Columns that hold nothing but names of the classes: they would give the label away."""
    return [
        path
        for path, column in survey.columns.items()
        if column.values and len(column.values) > 1 and column.values.keys() <= {*names}
    ]


def _remarks(found: Found, settings: NewSettings) -> Iterator[str]:
    survey, columns, labels = found.survey, found.columns, found.labels
    if columns.id is None and "id" in survey.columns and "id" not in (*settings.text,):
        yield from _unusable_ids(survey, "id")
    for path in columns.texts:
        column = survey.columns.get(path)
        if column is not None and (n := survey.rows - column.filled) > 0:
            yield f"column {path} is empty in {n:,} of {survey.rows:,} rows"
    if labels.label.kind in ("classes", "multi") and any(labels.counts.values()):
        rare = {name: n for name, n in labels.counts.items() if n < _RARE}
        if rare and labels.label.kind == "classes":
            shown = ", ".join(f"`{name[:40]}` ({n})" for name, n in list(rare.items())[:_SHOWN])
            yield (
                f"{len(rare)} of {len(labels.counts)} labels have fewer than {_RARE} rows, such as "
                f"{shown}: too few to learn them from, or to be judged on"
            )
        for name, spec in labels.label.classes.items():
            if others := ", ".join(f"`{value}`" for value in spec.gold[1:]):
                yield (
                    f"{others}: taken for `{name}`, which differs in case, spaces or a full stop "
                    "alone"
                )
        if all(name.strip("-+").isdigit() for name in labels.label.classes):
            names = ", ".join(list(labels.label.classes)[:_SHOWN])
            yield (
                f"the classes are called {names}, which says nothing to a teacher: say what they "
                "mean in templates.yaml, or rename them in task.yaml and leave the numbers in gold"
            )
    if len(labels.counts) == 1 and columns.labels:
        yield f"all rows have the same label, {next(iter(labels.counts))}: nothing is to be learnt"


def _unusable_ids(survey: Survey, path: str) -> Iterator[str]:
    get = cell(path)
    ids = Counter(hash(text_of(get(row)).strip()) for row in survey.read())
    n_empty = ids.pop(hash(""), 0)
    n_twice = ids.total() - len(ids)
    faults = [f"is empty in {n_empty:,} rows"] if n_empty else []
    faults += [f"has the id of an earlier row in {n_twice:,} rows"] if n_twice else []
    if faults:
        yield f"column {path} {' and '.join(faults)}: rows are named by split and number instead"


def _described(survey: Survey, paths: tuple[str, ...]) -> str:
    column = survey.columns[paths[0]]
    what = "0 or 1" if len(paths) > 1 else f"{column.different} different values"
    return f"{listed(paths)} ({what})"
