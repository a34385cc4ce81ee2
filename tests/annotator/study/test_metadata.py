"""The metadata file: read back as written, replaced as a whole, one result for each setting."""

from pathlib import Path

import pytest

from stepdistill.annotator.study.metadata import (
    Metadata,
    TemplateResult,
    load_metadata,
    save_metadata,
)
from stepdistill.common.errors import PromptError
from tests.annotator.study.made import a_score, a_setting


def a_result(seed: int = 1, version: int = 1, **correct: int) -> TemplateResult:
    scores = {name: a_score(n) for name, n in correct.items()}
    setting = a_setting(seed=seed)
    return TemplateResult(setting=setting, reader_version=version, data="d", templates=scores)


def test_what_is_saved_is_read_back_with_the_accuracy_for_people(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "metadata.yaml"
    metadata = Metadata(task="sums").with_scores(a_result(plain=3))
    save_metadata(path, metadata)
    assert load_metadata(path, "sums") == metadata
    assert "accuracy: 0.75" in path.read_text(encoding="utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["metadata.yaml"]


def test_measures_are_kept_and_left_out_where_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "metadata.yaml"
    measured = a_result().model_copy(
        update={"templates": {"a": a_score(measures={"micro_f1": 0.5}), "b": a_score()}}
    )
    metadata = Metadata(task="moods").with_scores(measured)
    save_metadata(path, metadata)
    assert load_metadata(path, "moods") == metadata
    assert path.read_text(encoding="utf-8").count("measures") == 1


def test_a_file_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert load_metadata(tmp_path / "none.yaml", "sums") == Metadata(task="sums")


def test_templates_of_a_setting_gather_and_the_newest_score_counts() -> None:
    metadata = Metadata(task="sums")
    for result in (
        a_result(plain=1),
        a_result(long=2),
        a_result(plain=4),
        a_result(seed=2, long=0),
    ):
        metadata = metadata.with_scores(result)
    by_seed = {each.setting.seed: each.templates for each in metadata.results}
    assert {name: score.correct for name, score in by_seed[1].items()} == {"plain": 4, "long": 2}
    assert {name: score.correct for name, score in by_seed[2].items()} == {"long": 0}


def test_scores_by_other_rules_of_reading_do_not_stay_beside_new_ones() -> None:
    metadata = Metadata(task="sums").with_scores(a_result(plain=1, long=2))
    (result,) = metadata.with_scores(a_result(version=2, plain=3)).results
    assert list(result.templates) == ["plain"]


@pytest.mark.parametrize("text", ["results: 3", "task: [", "task: sums\nresults: [{who: me}]"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "metadata.yaml"
    path.write_text(text)
    with pytest.raises(PromptError, match=r"metadata\.yaml"):
        load_metadata(path, "sums")
