"""A template is added to a file in the file's own manner, or the file stays as it was."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.prompt.appending import append_template, as_yaml
from stepdistill.annotator.prompt.template import Template, TemplateFile, load_templates
from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.common.errors import PromptError

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
    tmp_path_factory: pytest.TempPathFactory, said: str
) -> None:
    template = Template(id="found-2", user=said, system=said)
    path = tmp_path_factory.mktemp("any") / "file.yaml"
    path.write_text(f"templates:\n{as_yaml(template)}", encoding="utf-8")
    assert read_yaml(path, TemplateFile).templates == [template]
