"""The original's metadata, brought into the form of ours; strange files are named."""

from pathlib import Path

import pytest

from stepdistill.annotator.study.metadata import load_metadata
from stepdistill.annotator.study.original_scores import import_scores
from stepdistill.common.errors import PromptError
from tests.annotator.prompt.made import prompts_folder

RECORD = """\
7:
  characteristics: {avg_len_of_explanations: 60.5, avg_nr_of_sentences: 1.2, avg_nr_of_words: 11.0,
    flesch_reading_ease: 0, n_none_responses: 2, n_parse_errors: 1, total_responses: 8,
    variance_length_of_explanations: 4.0}
  costs: {total_accumulated_costs: 0.004, total_performed_queries: 20, total_tokens_received: 400,
    total_tokens_sent: 1000}
  performance: {accuracy: 0.6, n_correct: 6, n_wrong: 4}
8:
  characteristics: {n_none_responses: 10, n_parse_errors: 10, total_responses: 0}
  costs: {total_accumulated_costs: 0, total_performed_queries: 0, total_tokens_received: 0,
    total_tokens_sent: 0}
  performance: {accuracy: 0, n_correct: 0, n_wrong: 10}
"""
TEMPLATES = "templates: [{id: '7', user: '{problem}'}, {id: '8', user: '{hint}'}]"


def a_source(folder: Path, text: str) -> Path:
    (folder / "prompt-metadata").mkdir(parents=True)
    (folder / "prompt-metadata" / "sums.yaml").write_text(text)
    return folder


def test_scores_are_taken_over_with_the_costs_of_the_rows_that_were_judged(tmp_path: Path) -> None:
    prompts = prompts_folder(tmp_path / "prompts", templates=TEMPLATES)
    assert import_scores(a_source(tmp_path / "src", RECORD), prompts) == {"sums": 2}
    metadata = load_metadata(prompts / "sums" / "metadata-original.yaml", "sums")
    (result,) = metadata.results
    first, second = result.templates["7"], result.templates["8"]
    assert (first.rows, first.correct, first.labels, first.rationales) == (10, 6, 9, 8)
    assert (first.tokens.prompt, first.tokens.completion, first.cost_usd) == (500, 200, 0.002)
    assert first.style is not None
    assert (first.style.words, first.style.reading_ease) == (11.0, None)
    assert (second.rows, second.labels, second.style) == (10, 0, None)


def test_templates_that_are_not_here_are_left_out(tmp_path: Path) -> None:
    prompts = prompts_folder(tmp_path / "prompts")
    assert import_scores(a_source(tmp_path / "src", RECORD), prompts) == {"sums": 0}
    assert not (prompts / "sums" / "metadata-original.yaml").exists()


@pytest.mark.parametrize("text", ["- 1", "7: {costs: {}}", "7: [", "7: {characteristics: 3}"])
def test_a_strange_file_is_named(tmp_path: Path, text: str) -> None:
    prompts = prompts_folder(tmp_path / "prompts", templates=TEMPLATES)
    with pytest.raises(PromptError, match=r"sums\.yaml"):
        import_scores(a_source(tmp_path / "src", text), prompts)
