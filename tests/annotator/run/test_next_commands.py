"""Commands that are shown can be pasted as they stand."""

from pathlib import Path

from stepdistill.annotator.run.next_commands import (
    audit_command,
    run_command,
    train_command,
    view_command,
)

HERE, DEFAULT = Path("runs/my rows"), Path("runs/store")


def test_folders_are_quoted_and_a_store_is_named_where_it_is_not_the_usual_one() -> None:
    assert view_command(HERE, DEFAULT) == "annotate view 'runs/my rows'"
    assert view_command(HERE, Path("s")).endswith("'runs/my rows' --store s")
    assert audit_command(HERE, DEFAULT) == "annotate audit 'runs/my rows' --human 100"


def test_a_student_needs_rows_to_learn_from_and_rows_to_be_tried_on() -> None:
    assert train_command(HERE, ["train", "valid"]) is None
    command = train_command(HERE, ["test", "train"])
    assert command and command.endswith("--train 'runs/my rows/train' --test 'runs/my rows/test'")


def test_the_same_teacher_and_rows_are_asked_again() -> None:
    asked = run_command("t", "a model", "one", "rows.csv", ["http://gpu-1/v1", "http://gpu-2/v1"])
    assert asked == (
        "annotate run t --teacher 'a model' --template one --data rows.csv "
        "--base-url http://gpu-1/v1 --base-url http://gpu-2/v1"
    )
