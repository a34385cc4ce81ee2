"""Tasks and templates are checked when they are read; what is wrong is said with file and field."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stepdistill.annotator.prompt.task import check_placeholders, load_task
from stepdistill.annotator.prompt.template import load_templates
from stepdistill.common.errors import PromptError
from tests.annotator.dataset.made import a_task
from tests.annotator.prompt.made import TASK_YAML, TEMPLATES_YAML, prompts_folder

TASK = a_task(fields={"problem": "problem", "hint_2": "hint"})


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(PromptError) as refused:
        action()
    said = str(refused.value)
    assert "\n" not in said
    return said


def test_a_task_and_its_templates_are_read(tmp_path: Path):
    prompts = prompts_folder(tmp_path)

    assert load_task(prompts, "sums").fields == {"problem": "text", "hint": "hints"}
    templates = load_templates(prompts, "sums")
    assert list(templates) == ["plain", "long"]
    assert templates["plain"].system == ""
    assert templates["long"].options == {"temperature": 0}


def test_an_unknown_task_is_told_those_there_are(tmp_path: Path):
    prompts = prompts_folder(tmp_path)

    said = refusal(lambda: load_task(prompts, "sum"))
    assert "no task sum " in said
    assert "has: sums" in said
    assert "has: none" in refusal(lambda: load_task(tmp_path / "nowhere", "sums"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
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
def test_a_wrong_task_file_is_named_with_the_field(tmp_path: Path, old: str, new: str, said: str):
    prompts = prompts_folder(tmp_path, task=TASK_YAML.replace(old, new))

    error = refusal(lambda: load_task(prompts, "sums"))
    assert str(prompts / "sums" / "task.yaml") in error
    assert said in error


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path):
    path = prompts_folder(tmp_path) / "sums" / "task.yaml"
    path.write_bytes(b"task: \xff\xfe")

    assert f"{path}: not UTF-8 text" == refusal(lambda: load_task(tmp_path, "sums"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("id: plain", "id: Plain One", "`templates.0.id`"),
        ("id: long", "name: long", "`templates.1.id`"),
        ('user: "{problem}"', 'user: ""', "`templates.0.user`"),
        ("system: Be kind.", "sytem: Be kind.", "`templates.1.sytem` is not a field here"),
        ("id: plain", "id: 1", "`templates.0.id`"),
        ("templates:", "template:", "`templates`"),
    ],
)
def test_a_wrong_template_is_named_by_file_and_field(tmp_path: Path, old: str, new: str, said: str):
    prompts = prompts_folder(tmp_path, templates=TEMPLATES_YAML.replace(old, new))

    error = refusal(lambda: load_templates(prompts, "sums"))
    assert "templates.yaml" in error
    assert said in error


def test_an_option_that_cannot_be_sent_as_json_is_refused(tmp_path: Path):
    # Token ids are the one kind of key that is written as a number, and JSON has none such.
    templates = TEMPLATES_YAML.replace("temperature: 0", "logit_bias: {50256: -100}")
    prompts = prompts_folder(tmp_path, templates=templates)

    assert "`templates.1.options." in refusal(lambda: load_templates(prompts, "sums"))


def test_templates_of_all_files_are_read_and_an_id_used_twice_is_refused(tmp_path: Path):
    prompts = prompts_folder(tmp_path)
    other = prompts / "sums" / "templates-original.yaml"
    other.write_text("templates: [{id: '7', user: x}]")
    assert set(load_templates(prompts, "sums")) == {"plain", "long", "7"}

    other.write_text("templates: [{id: long, user: x}]")
    said = refusal(lambda: load_templates(prompts, "sums"))
    assert "template id long is used twice in task sums" in said


def test_an_unknown_placeholder_is_named_with_those_there_are():
    with pytest.raises(PromptError) as refused:
        check_placeholders("here", "{problem} {hint}", TASK)

    assert str(refused.value) == "here has {hint}, but task sums has only {problem}, {hint_2}"


def test_known_placeholders_and_other_braces_pass():
    check_placeholders("here", '{problem}{hint_2}{} {"a": 1} {two words}', TASK)
