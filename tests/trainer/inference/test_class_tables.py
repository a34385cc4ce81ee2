"""What is shown of classes: all of a few, the worst of many, in 80 columns."""

import io

from rich.console import Console
from rich.table import Table

from stepdistill.common.kinds.kind import Kind
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import ClassSpec, LabelSpec
from stepdistill.trainer.data.examples import EvalExample
from stepdistill.trainer.inference.class_tables import class_table, confusion, confusion_table
from stepdistill.trainer.scores import macro_f1, score

FEW = ("yes", "no", "perhaps")
MANY = tuple(f"intent number {n:02d}, which has a rather long name" for n in range(77))


def _kind(names: tuple[str, ...]) -> Kind:
    return kind_of(LabelSpec(kind="classes", classes={name: ClassSpec() for name in names}))


def _rows(golds: tuple[str, ...]) -> list[EvalExample]:
    return [
        EvalExample(id=str(n), input="", gold=gold, teacher=None) for n, gold in enumerate(golds)
    ]


def _shown(table: Table | None) -> list[str]:
    assert table is not None
    screen = io.StringIO()
    Console(file=screen, width=80, markup=False).print(table)
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    return [line.rstrip() for line in lines if line.strip()]


def test_a_few_classes_are_set_against_each_other() -> None:
    rows, answers = _rows(("yes", "Yes", "no", "no")), ["yes", "no", "no", "bananas"]
    found = confusion(answers, rows, _kind(FEW))
    assert found == {"yes": {"yes": 1, "no": 1}, "no": {"no": 1, "(none of them)": 1}}
    assert found is not None
    *_, yes, no = _shown(confusion_table(found, FEW))
    assert yes.split() == ["1", "yes", "1", "1", "."]
    assert no.split() == ["2", "no", ".", "1", "1"]


def test_of_many_the_worst_are_shown_and_that_is_said() -> None:
    rows, kind = _rows(MANY), _kind(MANY)
    answers = [MANY[0], *MANY[2:], MANY[0]]
    classes = score(answers, rows, kind).classes
    assert classes is not None
    lines = _shown(class_table(classes))
    assert "the 20 of 77 classes with the lowest F1" in lines[0] and len(lines) == 1 + 2 + 20
    lines = _shown(confusion_table(confusion(answers, rows, kind) or {}, MANY))
    assert "the 10 most frequent of 76 confusions" in lines[0] and len(lines) == 1 + 2 + 10
    assert "a rather long name" not in "".join(lines) and "long name" in lines[-1]


def test_where_nothing_is_mixed_up_many_classes_need_no_table() -> None:
    found = confusion(list(MANY), _rows(MANY), _kind(MANY))
    assert confusion_table(found or {}, MANY) is None


def test_a_label_of_no_set_has_no_confusion() -> None:
    assert confusion(["a"], _rows(("a",)), kind_of(LabelSpec(kind="text"))) is None


def test_macro_f1_is_of_classes_that_were_met() -> None:
    rows = _rows(("yes", "yes", "no"))
    classes = score(["yes", "yes", "yes"], rows, _kind(FEW)).classes
    assert classes is not None
    assert macro_f1(classes) == (0.8 + 0.0) / 2
