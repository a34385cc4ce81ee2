"""A task is checked when it is read; what is wrong is said with file and field."""

from pathlib import Path

import pytest

from stepdistill.annotator.prompt.task import check_placeholders, load_task
from stepdistill.common.errors import PromptError
from tests.annotator.dataset.made import a_task
from tests.annotator.prompt.made import TASK_YAML, prompts_folder, refusal

TASK = a_task(fields={"problem": "problem", "hint_2": "hint"})


def test_a_task_is_read(tmp_path: Path):
    task = load_task(prompts_folder(tmp_path), "sums")

    assert task.fields == {"problem": "text", "hint": "hints"}


def test_an_unknown_task_is_told_those_there_are(tmp_path: Path):
    prompts = prompts_folder(tmp_path)

    message = refusal(lambda: load_task(prompts, "sum"))
    assert "no task sum " in message
    assert "has: sums" in message
    assert "has: none" in refusal(lambda: load_task(tmp_path / "nowhere", "sums"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("task: sums", "tasks: sums", "`task`"),
        ("task: sums", "task: sums\nextra: 1", "`extra` is not a field here"),
        ("kind: text", "kind: words", "`label.kind`"),
        ("kind: text", "kind: classes", "`classes` goes with kind `classes`"),
        ("kind: text", "kind: options, options: [choice]", "`choice` is not among the fields"),
        ("{input: ", "{input: 1, text: ", "`student."),
        ('"{problem}"', '"{problem} {question}"', "student.input has {question}"),
        ('"{problem}"', '"{problem} {ä}"', "student.input has {ä}"),
        ("{problem: text, ", '{problem: text, "1": number, ', "`fields`: Value error, `1` is not"),
        ("task: sums", "task: [sums", "not YAML"),
        ("task: sums", "task: 2023-99-99", "not YAML"),
        (TASK_YAML, "", "`the whole file`"),
        (TASK_YAML, "- a list", "`the whole file`"),
    ],
)
def test_a_wrong_task_file_is_named_with_the_field(tmp_path: Path, old: str, new: str, says: str):
    prompts = prompts_folder(tmp_path, task=TASK_YAML.replace(old, new))

    error = refusal(lambda: load_task(prompts, "sums"))
    assert str(prompts / "sums" / "task.yaml") in error
    assert says in error


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path):
    path = prompts_folder(tmp_path) / "sums" / "task.yaml"
    path.write_bytes(b"task: \xff\xfe")

    assert f"{path}: not UTF-8 text" == refusal(lambda: load_task(tmp_path, "sums"))


def test_an_unknown_placeholder_is_named_with_those_there_are():
    with pytest.raises(PromptError) as refused:
        check_placeholders("here", "{problem} {hint}", TASK)

    assert str(refused.value) == "here has {hint}, but task sums has only {problem}, {hint_2}"


def test_known_placeholders_and_other_braces_pass():
    check_placeholders("here", '{problem}{hint_2}{} {"a": 1} {two words}', TASK)
