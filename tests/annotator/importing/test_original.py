"""What was paid for in 2023 is found by a plan with the same words, and nothing else is."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.importing.original import MODEL, Imported, import_original
from stepdistill.annotator.prompt.mix import Mix, load_mix
from stepdistill.annotator.prompt.template import OriginalParse, load_templates
from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import DatasetError, DistillError, PromptError
from tests.annotator.dataset.made import write_rows
from tests.annotator.importing.made import (
    MIX,
    PROBLEMS,
    SYSTEM,
    TEMPLATES,
    a_result,
    lines,
    own_prompts,
    results_file,
    write_original,
    write_yaml,
)


@pytest.fixture
def src(tmp_path: Path) -> Path:
    return write_original(tmp_path / "original")


@pytest.fixture
def bring(tmp_path: Path, store: ResponseStore) -> Callable[[Path], Imported]:
    """Import a folder into `tmp_path/prompts` and the store."""
    own = own_prompts(tmp_path / "own")
    return lambda src: import_original(src, tmp_path / "prompts", own, store)


def asked(tmp_path: Path, store: ResponseStore, template: str) -> list[Answer | None]:
    """What the store answers to the plan of this template, row by row."""
    rows: list[dict[str, Any]] = [{"problem": problem} for problem in PROBLEMS]
    config = RunSettings(
        task="sums",
        splits=("train",),
        teacher=MODEL,
        prompts=tmp_path / "prompts",
        store=store.path,
        out=tmp_path / "out",
        data=str(write_rows(tmp_path / "train.jsonl", rows)),
        template=template,
    )
    (plan,) = make_plans(config)
    with store.reading() as stored:
        return [stored.answer(row.label.key) for row in plan.rows()]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(action: Callable[[], object], kind: type[DistillError]) -> str:
    with pytest.raises(kind) as refused:
        action()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_everything_is_counted(src: Path, bring: Callable[[Path], Imported]):
    done = bring(src)

    assert done.templates == {"sums": 2}
    assert done.mixes == {"sums": 1}
    assert done.answers == {("sums", "train"): 3}
    assert done.skipped == []


def test_answers_are_found_under_the_key_of_a_plan_with_their_template(
    tmp_path: Path, src: Path, store: ResponseStore, bring: Callable[[Path], Imported]
):
    bring(src)

    texts = {
        template: [answer and answer.text for answer in asked(tmp_path, store, template)]
        for template in ("1", "7", "own")
    }
    responses = [a_result(1, idx)["response"] for idx in range(4)]
    assert texts["1"] == [responses[0], None, responses[2], None]
    assert texts["7"] == [None, responses[1], None, None]
    assert texts["own"] == [None] * 4


def test_an_answer_says_where_it_comes_from_and_what_it_took(
    tmp_path: Path, src: Path, store: ResponseStore, bring: Callable[[Path], Imported]
):
    bring(src)
    answer = asked(tmp_path, store, "1")[0]

    assert answer is not None
    assert (answer.model, answer.mode, answer.finish) == (MODEL, "import", "stop")
    assert answer.usage.prompt > 10
    assert answer.usage.completion == 7


def test_an_edited_template_does_not_get_the_older_one_s_answers(
    tmp_path: Path, src: Path, store: ResponseStore, bring: Callable[[Path], Imported]
):
    changed = {7: {**TEMPLATES[7], "user_message": "{problem} Think."}}
    write_yaml(src / "prompt-templates" / "sums.yaml", {"templates": {**TEMPLATES, **changed}})
    bring(src)

    assert asked(tmp_path, store, "7") == [None] * 4
    assert asked(tmp_path, store, "1")[0] is not None


def test_importing_twice_changes_nothing(
    tmp_path: Path, src: Path, store: ResponseStore, bring: Callable[[Path], Imported]
):
    first = bring(src)
    files, answers = contents(tmp_path / "prompts"), asked(tmp_path, store, "1")
    second = bring(src)

    assert second == first
    assert contents(tmp_path / "prompts") == files
    assert asked(tmp_path, store, "1") == answers
    assert len(store) == 3


def test_templates_of_the_same_words_keep_their_own_answers(
    tmp_path: Path, src: Path, store: ResponseStore, bring: Callable[[Path], Imported]
):
    twins = {**TEMPLATES, 8: {**TEMPLATES[1], "id": 8}}
    write_yaml(src / "prompt-templates" / "sums.yaml", {"templates": twins})
    said = a_result(1, 0, prompt_template_id=8, response="0, since nothing is added.")
    results_file(src, 8, lines([said]))
    done = bring(src)

    assert done.answers == {("sums", "train"): 4}
    assert len(store) == 4
    (first, *_), (second, *others) = (asked(tmp_path, store, name) for name in ("1", "8"))
    assert first is not None and first.text == a_result(1, 0)["response"]
    assert second is not None and second.text == said["response"]
    assert others == [None] * 3


def test_a_prompt_that_was_asked_again_keeps_both_answers_and_a_line_twice_is_one(
    src: Path, store: ResponseStore, bring: Callable[[Path], Imported]
):
    again = a_result(7, 1, response="2, once more.")
    results_file(src, 7, lines([a_result(7, 1), again, a_result(7, 1)]))
    done = bring(src)

    assert (len(store), done.answers["sums", "train"]) == (4, 4)
    assert ["line 3: the same answer again" in line for line in done.skipped] == [True]


def test_templates_keep_their_words_and_how_they_were_read(
    tmp_path: Path, src: Path, bring: Callable[[Path], Imported]
):
    bring(src)
    templates = load_templates(tmp_path / "prompts", "sums")

    assert set(templates) == {"own", "1", "7"}
    assert (templates["1"].system, templates["1"].user) == (SYSTEM, "Solve: {problem}\nWhy?")
    parse = OriginalParse(label_parse="(.*)", explanation_parse="(.*)", swap=True)
    assert templates["7"].original == parse


def test_a_mix_keeps_its_shares_and_belongs_to_the_task_that_has_its_templates(
    tmp_path: Path, src: Path, bring: Callable[[Path], Imported]
):
    bring(src)

    mix = load_mix(tmp_path / "prompts", "sums", "original-3")
    assert mix == Mix(
        seed=3, assignment="original", label={"1": 0.5, "7": 0.5}, rationale={"1": 1.0}
    )
    with pytest.raises(PromptError, match="original-3"):
        load_mix(tmp_path / "prompts", "sums", "original-4")


def test_a_task_of_the_user_s_own_is_not_written_over(
    tmp_path: Path, src: Path, bring: Callable[[Path], Imported]
):
    mine = tmp_path / "prompts" / "sums" / "task.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    bring(src)

    assert mine.read_text() == "mine"


def test_folders_may_be_named_with_underscores_and_files_be_plain(
    tmp_path: Path, src: Path, bring: Callable[[Path], Imported]
):
    for name in ("prompt-templates", "prompt-mixes", "query-results"):
        (src / name).rename(src / name.replace("-", "_"))
    for packed in list(src.rglob("*.gz")):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()

    done = bring(src)
    assert (done.mixes, done.answers) == ({"sums": 1}, {("sums", "train"): 3})


def test_the_blank_of_the_oldest_runs_parts_a_prompt_too(
    tmp_path: Path, src: Path, store: ResponseStore, bring: Callable[[Path], Imported]
):
    prompt = f"{SYSTEM} {PROBLEMS[3]}"
    results_file(src, 7, lines([a_result(7, 3, complete_prompt=prompt)]))
    bring(src)

    assert asked(tmp_path, store, "7")[3] is not None


def test_what_is_no_answer_to_its_template_is_skipped_and_named(
    src: Path, store: ResponseStore, bring: Callable[[Path], Imported]
):
    wrong = [
        a_result(1, 0, complete_prompt=f"Another system.\n{PROBLEMS[0]}"),
        a_result(1, 0, prompt_template_id=99),
        a_result(1, 0, complete_prompt=f"{SYSTEM}{PROBLEMS[0]}"),
        a_result(1, 0, response=None),
    ]
    path = results_file(src, 1, lines([*wrong, a_result(1, 1)]) + b"not json\n")
    done = bring(src)

    assert done.answers == {("sums", "train"): 2}
    assert len(store) == 2
    places = [line.partition(":")[0] for line in done.skipped]
    assert places == [f"{path} line {number}" for number in (1, 2, 3, 4, 6)]
    assert ["prompt" in line for line in done.skipped] == [True, True, True, False, False]


def test_a_folder_that_is_not_the_original_s_is_said_so(
    tmp_path: Path, bring: Callable[[Path], Imported]
):
    message = refusal(lambda: bring(tmp_path / "nowhere"), DatasetError)

    assert "prompt-templates" in message


@pytest.mark.parametrize("content", ["templates: [", "x: 1", "templates: {1: {id: 1}}", "", "[]"])
def test_templates_that_are_none_are_named(
    src: Path, bring: Callable[[Path], Imported], content: str
):
    path = src / "prompt-templates" / "sums.yaml"
    path.write_text(content)

    assert str(path) in refusal(lambda: bring(src), PromptError)


@pytest.mark.parametrize(
    "mix",
    [
        [1],
        {"label": {1: 1.0}},
        {**MIX, "more": 1},
        {"label": {1: 0.5}, "explanation": {1: 1.0}},
    ],
)
def test_a_mix_that_is_none_is_named(src: Path, bring: Callable[[Path], Imported], mix: object):
    path = write_yaml(src / "prompt-mixes" / "5.yaml", mix)

    assert str(path) in refusal(lambda: bring(src), PromptError)


def test_a_cut_file_of_results_is_named(src: Path, bring: Callable[[Path], Imported]):
    path = results_file(src, 1, lines([a_result(1, 0)] * 50))
    path.write_bytes(path.read_bytes()[:-20])

    assert str(path) in refusal(lambda: bring(src), DatasetError)
