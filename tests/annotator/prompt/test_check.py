"""`prompts check` finds what was planted, and nothing in what we ship."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.prompt.check import PromptProblem, check_prompts
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.prompt.template import OriginalParse, Template, load_templates
from stepdistill.annotator.settings.rows import shipped_tasks
from tests.annotator.prompt.made import TASK_YAML, prompts_folder

GOLD = TASK_YAML + "gold: answer\n"
WORDS = "Please read the problem {problem} with the hint {hint} and then say what it is in one word"


def found(prompts: Path, *templates: Template) -> list[tuple[str, str, str]]:
    by_id = {template.id: template for template in templates}
    findings = check_prompts(prompts, load_task(prompts, "sums"), by_id)
    return [(each.level, each.where, each.what) for each in findings]


def original(label: str) -> Template:
    parse = OriginalParse(label_parse=label, explanation_parse="(.*)")
    return Template(id="a", user="{problem} {hint}", original=parse)


@pytest.mark.parametrize("task", [path.parent.name for path in shipped_tasks().glob("*/task.yaml")])
def test_what_we_ship_has_nothing_to_report(task: str) -> None:
    prompts, spec = shipped_tasks(), load_task(shipped_tasks(), task)
    own = {n: t for n, t in load_templates(prompts, task).items() if t.original is None}
    assert [
        each for each in check_prompts(prompts, spec, own) if "original" not in each.where
    ] == []


@pytest.mark.parametrize(
    ("template", "level", "says"),
    [
        (Template(id="a", user="{problem} {hint} {colour}"), "error", "{colour} is not a field"),
        (Template(id="a", user="{problem}"), "warning", "does not mention {hint}"),
        (Template(id="a", user="{problem} {hint} {answer}"), "warning", "prints the gold label"),
        (original("({colour})"), "error", "label_parse has {colour}"),
        (original("(yes"), "error", "label_parse is not a regular expression"),
    ],
)
def test_a_planted_fault_is_found(
    tmp_path: Path, template: Template, level: str, says: str
) -> None:
    ((found_level, where, what),) = found(prompts_folder(tmp_path, task=GOLD), template)
    assert (found_level, where) == (level, "template a")
    assert says in what


def test_templates_that_say_the_same_are_named_and_others_not(tmp_path: Path) -> None:
    prompts = prompts_folder(tmp_path, task=GOLD)
    one = Template(id="one", user=WORDS)
    same = Template(
        id="same",
        user=WORDS.replace(" ", "\n")
        .upper()
        .replace("{PROBLEM}", "{problem}")
        .replace("{HINT}", "{hint}"),
    )
    alike = Template(id="alike", user=f"{WORDS} only")
    other = Template(id="other", user="{hint}! Solve this: {problem}")
    hotter = Template(id="hotter", user=WORDS, options={"temperature": 1})
    assert found(prompts, one, same, alike, other) == [
        ("warning", "template same", "says the same as template one"),
        ("warning", "template alike", "is 97% like template one"),
        ("warning", "template alike", "is 97% like template same"),
    ]
    assert found(prompts, one, hotter) == []


def test_mixes_are_judged_by_their_files(tmp_path: Path) -> None:
    prompts = prompts_folder(
        tmp_path,
        task=GOLD,
        good="{label: {one: 1}, rationale: {one: 1}}",
        gone="{label: {one: 0.5, two: 0.5}}",
        heavy="{label: {one: 0.7}}",
        apart="{label: {one: 1}, rationale: {other: 1}}",
    )
    one, other = Template(id="one", user=WORDS), Template(id="other", user="{problem}{hint}?")
    by_mix = {where: (level, what) for level, where, what in found(prompts, one, other)}
    assert by_mix.keys() == {"mix gone", "mix heavy", "mix apart"}
    assert by_mix["mix gone"] == ("error", "template two is missing")
    assert by_mix["mix heavy"][0] == "error"
    assert "sum to 0.7" in by_mix["mix heavy"][1]
    assert by_mix["mix apart"][0] == "warning"


@given(st.lists(st.tuples(st.text(max_size=60), st.text(min_size=1, max_size=60)), max_size=5))
def test_any_templates_can_be_checked(texts: list[tuple[str, str]]) -> None:
    templates = {
        f"t{n}": Template(id=f"t{n}", system=system, user=user)
        for n, (system, user) in enumerate(texts)
    }
    spec = load_task(shipped_tasks(), "demo")
    findings = check_prompts(Path("nowhere"), spec, templates)
    assert all(isinstance(each, PromptProblem) and each.what for each in findings)
