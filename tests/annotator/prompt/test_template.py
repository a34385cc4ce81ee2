"""Templates are checked when they are read; one is added to a file in the file's own manner, or the
file stays as it was."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.prompt.template import (
    Template,
    TemplateFile,
    append_template,
    as_yaml,
    load_templates,
)
from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.common.errors import PromptError
from tests.annotator.prompt.made import TEMPLATES_YAML, prompts_folder, refusal

NEW = Template(id="found-1", user="Solve {problem}.\n\nThen: say why.\n", options={"top_p": 0.5})
INDENTED = """\
# Ours; do not sort.
templates:
  - id: first   # the oldest
    user: |
      {problem}
      Which one?
"""
FLUSH = "templates:\n- {id: first, user: '{problem}'}"
CLOSED = "templates: [{id: first, user: '{problem}'}]\n"


def test_templates_are_read(tmp_path: Path):
    templates = load_templates(prompts_folder(tmp_path), "sums")

    assert list(templates) == ["plain", "long"]
    assert templates["plain"].system == ""
    assert templates["long"].options == {"temperature": 0}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("id: plain", "id: Plain One", "`templates.0.id`"),
        ("id: long", "name: long", "`templates.1.id`"),
        ('user: "{problem}"', 'user: ""', "`templates.0.user`"),
        ("system: Be kind.", "sytem: Be kind.", "`templates.1.sytem` is not a field here"),
        ("id: plain", "id: 1", "`templates.0.id`"),
        ("templates:", "template:", "`templates`"),
    ],
)
def test_a_wrong_template_is_named_by_file_and_field(tmp_path: Path, old: str, new: str, says: str):
    prompts = prompts_folder(tmp_path, templates=TEMPLATES_YAML.replace(old, new))

    error = refusal(lambda: load_templates(prompts, "sums"))
    assert "templates.yaml" in error
    assert says in error


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
    message = refusal(lambda: load_templates(prompts, "sums"))
    assert "template id long is used twice in task sums" in message


def in_folder(folder: Path, content: str) -> Path:
    path = folder / "demo" / "templates.yaml"
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("before", [INDENTED, FLUSH, INDENTED + "\n# the end\n"])
def test_it_stands_behind_the_others_and_nothing_else_changes(tmp_path: Path, before: str) -> None:
    path = in_folder(tmp_path, before)
    assert append_template(tmp_path, "demo", NEW) == path
    after = path.read_text(encoding="utf-8")
    assert after.startswith(before)
    assert list(load_templates(tmp_path, "demo")) == ["first", "found-1"]
    assert load_templates(tmp_path, "demo")["found-1"] == NEW
    append_template(tmp_path, "demo", NEW)
    assert path.read_text(encoding="utf-8") == after
    assert [each.name for each in path.parent.iterdir()] == ["templates.yaml"]


def test_a_task_without_a_file_gets_one(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    append_template(tmp_path, "demo", NEW)
    assert load_templates(tmp_path, "demo") == {"found-1": NEW}


@pytest.mark.parametrize("before", [CLOSED, "templates: 3\n", "- x\n", "templates: [\n"])
def test_a_file_in_another_manner_is_left_alone(tmp_path: Path, before: str) -> None:
    path = in_folder(tmp_path, before)
    with pytest.raises(PromptError, match=r"templates.yaml: template found-1 cannot be added"):
        append_template(tmp_path, "demo", NEW)
    assert path.read_text(encoding="utf-8") == before


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), min_size=1)
)
def test_whatever_a_template_says_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    template = Template(id="found-2", user=text, system=text)
    path = tmp_path_factory.mktemp("any") / "file.yaml"
    path.write_text(f"templates:\n{as_yaml(template)}", encoding="utf-8")
    assert read_yaml(path, TemplateFile).templates == [template]


def test_a_field_may_go_by_its_path(tmp_path: Path) -> None:
    folder = tmp_path / "mails"
    folder.mkdir()
    (folder / "task.yaml").write_text(
        "task: mails\nfields: {content_text: content.text, first: 'choices[0]'}\n"
        "label: {kind: text}\nstudent: {input: '{content.text}'}\n"
    )
    templates = folder / "templates.yaml"
    templates.write_text("templates: [{id: a, user: '{content.text} {choices[0]} {obj.method}'}]\n")
    template = load_templates(tmp_path, "mails")["a"]
    assert template.user == "{content_text} {first} {obj.method}"
    assert load_task(tmp_path, "mails").student.input == "{content_text}"
    templates.write_text("templates: [{id: a, user: '{content.title}'}]\n")
    with pytest.raises(PromptError, match=r"add `content_title: content.title` to task.yaml's"):
        load_templates(tmp_path, "mails")
