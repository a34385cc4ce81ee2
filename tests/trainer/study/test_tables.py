"""`stepdistill tables`: means over all seeds, pairs, data and money needed."""

import csv
from pathlib import Path

import pytest

from stepdistill.trainer.main import main
from stepdistill.trainer.study.frame import corrected, mean_of, paired
from stepdistill.trainer.study.run_tables import share_needed
from stepdistill.trainer.study.tracking import Run, Tracking
from tests.trainer.study.made_runs import made
from tests.trainer.study.test_track import MIXES, REAL, real_data


def _tables(tmp_path: Path, *words: str) -> dict[str, list[dict[str, str]]]:
    """The lines of every table as its CSV holds it."""
    tracking, out = tmp_path / "t.sqlite", tmp_path / "out"
    assert main(["tables", "--tracking", str(tracking), "--out", str(out), *words]) == 0
    assert {path.suffix for path in out.iterdir()} == {".md", ".csv", ".tex"}
    return {
        path.stem: list(csv.DictReader(path.read_text().splitlines())) for path in out.glob("*.csv")
    }


def _numbers(line: dict[str, str], *names: str) -> list[float]:
    return [float(line[name].removesuffix(" %")) for name in names]


def _distilled(**changes: object) -> Run:
    return made(
        mode="step-by-step", labels="teacher", teacher="gpt-6-luna", rationale_rate=1.0, **changes
    )


def _keep(tmp_path: Path, *runs: Run) -> None:
    with Tracking(tmp_path / "t.sqlite") as file:
        file.add(runs)


def _study(tmp_path: Path) -> None:
    """Two methods at two shares, three seeds each; the teacher's answers cost 8 USD in all."""
    for seed in range(3):
        for share, ours, theirs in ((0.5, 0.70, 0.60), (1.0, 0.90, 0.80)):
            of_seed = {"seed": seed, "subsample": share, "seconds": 3600.0, "ranks": 2}
            _keep(
                tmp_path,
                made(test_accuracy=theirs + seed / 100, **of_seed),
                _distilled(
                    test_accuracy=ours + 2 * seed / 100, teacher_cost_usd=8.0 * share, **of_seed
                ),
            )


def test_sets_and_numbers_have_measures_of_their_own(tmp_path: Path) -> None:
    kinds = {
        "moods": ('{"micro_f1":0.8,"jaccard":0.5}', '{"micro_f1":0.6,"jaccard":0.7}'),
        "stars": ('{"mean_error":0.25,"pearson":0.9}', '{"mean_error":0.75}'),  # all alike: no r
        "demo": ("", ""),
    }
    for task, measures in kinds.items():
        for seed, text in enumerate(measures):
            _keep(tmp_path, made(task=task, seed=seed, measures=text))
    names = ("micro_f1", "jaccard", "mean_error", "pearson")
    found = {
        line["task"]: [line[name] and float(line[name]) for name in names]
        for line in _tables(tmp_path)["accuracy"]
    }
    assert found == {
        "moods": [pytest.approx(0.7), pytest.approx(0.6), "", ""],
        "stars": ["", "", 0.5, 0.9],
        "demo": ["", "", "", ""],
    }


def test_means_over_all_seeds_with_their_interval(tmp_path: Path) -> None:
    _study(tmp_path)
    found = _tables(tmp_path)["accuracy"]
    line = next(x for x in found if (x["method"], x["subsample"]) == ("standard, gold", "1.0"))
    # Student's t with two degrees of freedom: 4.3027 x 0.01 / sqrt(3).
    assert _numbers(line, "n", "accuracy", "low", "high", "hours") == pytest.approx(
        [3, 0.81, 0.81 - 0.02484, 0.81 + 0.02484, 2], abs=1e-5
    )
    assert len(found) == 4


def test_methods_meet_where_all_else_is_equal(tmp_path: Path) -> None:
    _study(tmp_path)
    _keep(tmp_path, _distilled(seed=7, lr=1e-3, test_accuracy=0.1))  # no baseline at this rate
    [duel] = _tables(tmp_path)["paired"]
    assert (duel["theirs"], duel["ours"]) == (
        "standard, gold",
        "step-by-step, teacher, gpt-6-luna",
    )
    # Differences of .10, .11, .12 twice: t is 0.11 / (0.00894 / sqrt(6)), 30.1 at five degrees.
    assert _numbers(duel, "pairs", "difference") == pytest.approx([6, 0.11])
    assert 5e-7 < float(duel["p"]) < 1e-6


def test_without_gold_labels_the_teachers_alone_are_the_baseline(tmp_path: Path) -> None:
    for seed in (0, 1):
        _keep(tmp_path, made(labels="teacher", teacher="gpt-6-luna", seed=seed))
        _keep(tmp_path, _distilled(seed=seed, test_accuracy=0.6 + seed / 10))
    [duel] = _tables(tmp_path)["paired"]
    assert duel["theirs"].startswith("standard, teacher")
    assert _numbers(duel, "pairs", "difference") == pytest.approx([2, 0.15])


def test_data_and_money_to_reach_the_baseline(tmp_path: Path) -> None:
    _study(tmp_path)
    tables = _tables(tmp_path, "--gpu-hour-usd", "3")
    _, line = tables["data-needed"]
    # .72 at a half, .92 at the whole: .81 lies at 0.5 + 0.5 * 9 / 20.
    to_reach, needed, low, high = _numbers(line, "to_reach", "needed", "from", "to")
    assert (to_reach, needed) == (pytest.approx(0.81), 72.5)
    assert low < needed < high
    baseline, ours = tables["cost"]
    # 8 USD x 0.725, and 2 hours at 3 USD.
    assert _numbers(ours, "teacher_usd", "gpu_usd", "usd") == pytest.approx([5.80, 6.00, 11.80])
    assert _numbers(baseline, "teacher_usd") == [0]  # gold labels ask no teacher


def test_an_accuracy_that_is_never_reached_has_no_cost(tmp_path: Path) -> None:
    _study(tmp_path)
    found = _tables(tmp_path, "--accuracy", "0.99")["cost"]
    assert [(line["needed"], line["usd"]) for line in found] == 2 * [("never", "")]


def test_where_a_line_reaches_a_target() -> None:
    assert share_needed([0.1, 0.5, 1.0], [0.2, 0.4, 0.8], 0.6) == pytest.approx(0.75)
    assert share_needed([0.1, 1.0], [0.7, 0.6], 0.65) == 0.1
    assert share_needed([1.0], [0.5], 0.6) == float("inf")


def test_what_one_seed_cannot_say_stays_empty() -> None:
    alone, alike = mean_of([0.5]), paired([0.5, 0.6], [0.4, 0.5])
    assert (alone.n, alone.low == alone.low, alike.p == alike.p) == (1, False, False)
    assert corrected([0.01, float("nan"), 0.04])[::2] == pytest.approx([0.02, 0.04])


def test_no_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _keep(tmp_path, made())
    assert main(["tables", "--tracking", str(tmp_path / "t.sqlite"), "--task", "none"]) == 2
    assert capsys.readouterr().err.startswith("error: no run to show")


@real_data
def test_the_originals_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ("track", "--tracking", str(tmp_path / "t.sqlite"), "import", str(REAL))
    assert main([*place, "--mixes", str(MIXES)]) == 0
    accuracy = _tables(tmp_path, "--pool", "batch_size", "lr")["accuracy"]
    message = capsys.readouterr().out
    assert "24 rows of the original that were typed in by hand are left out" in message
    assert sum(int(line["n"]) for line in accuracy) == 343
    means = {
        (line["task"], line["model"], line["method"], line["mix"]): float(line["accuracy"])
        for line in accuracy
        if line["subsample"] == "1.0"
    }

    def mean(task: str, size: str, method: str, mix: str = "") -> float:
        return means[(task, f"t5-v1_1-{size}", method, mix)]

    step, base = "step-by-step, gold", "standard, gold"
    assert mean("anli1", "base", base) == pytest.approx(0.400, abs=5e-4)
    assert mean("anli1", "base", step, "6") == pytest.approx(0.483, abs=5e-4)
    assert mean("anli1", "large", base) == pytest.approx(0.628, abs=5e-4)
    assert mean("anli1", "large", step, "6") == pytest.approx(0.651, abs=5e-4)
    assert mean("anli1", "xl", base) == pytest.approx(0.341, abs=6e-4)
    assert mean("anli1", "xl", step, "6") == pytest.approx(0.726, abs=6e-4)
    assert mean("cqa", "base", base) == pytest.approx(0.621, abs=5e-4)
    assert mean("cqa", "base", step, "7") == pytest.approx(0.632, abs=5e-4)


def _classifier(**changes: object) -> Run:
    told = {"mode": "encoder", "labels": "teacher", "teacher": "gpt-6-luna", "model": "bert"}
    return made(**{**told, "lr": 5e-5, "teacher_cost_usd": 8.0, **changes})


def test_a_student_stands_beside_the_classifier_that_costs_no_more(tmp_path: Path) -> None:
    for seed in range(3):
        cost = {"teacher_cost_usd": 8.0, "seconds": 100.0, "seed": seed}
        _keep(tmp_path, _distilled(**cost, test_accuracy=0.80 + seed / 100))
        cheap, slow = {**cost, "seconds": 50.0}, {**cost, "seconds": 900.0}
        for accuracy, valid, more in (
            (0.90 + 2 * seed / 100, 0.9, cheap),
            (0.95, 0.8, {**cheap, "steps": 7, "settings": "{1}"}),  # validated worse
            (0.99, 0.99, {**slow, "settings": "{2}"}),  # takes nine times as long
            (0.99, 0.99, {**cheap, "teacher_cost_usd": 9.0, "settings": "{3}"}),  # or more money
            (0.99, 0.99, {**cheap, "test_rows": 7, "settings": "{4}"}),  # or other rows
        ):
            _keep(tmp_path, _classifier(test_accuracy=accuracy, valid_accuracy=valid, **more))
    [line] = _tables(tmp_path)["encoder"]
    assert line["student"].startswith("t5-v1_1-base, step-by-step, teacher")
    assert line["encoder"].startswith("bert, encoder, teacher")
    assert _numbers(line, "time", "n", "difference") == pytest.approx([0.5, 3, -0.11])
    assert line["student_is"] == "worse"


def test_where_no_classifier_is_as_quick_it_is_said_how_long_it_took(tmp_path: Path) -> None:
    _keep(tmp_path, _distilled(test_accuracy=0.9, teacher_cost_usd=8.0))
    _keep(tmp_path, _classifier(test_accuracy=0.9, seconds=250.0))
    [line] = _tables(tmp_path)["encoder"]
    assert _numbers(line, "time", "difference") == pytest.approx([2.5, 0.0])
    assert line["student_is"] == "no better (one seed)"


def test_labels_that_cost_nothing_stand_beside_any_student(tmp_path: Path) -> None:
    _keep(tmp_path, _distilled(test_accuracy=0.9))  # of a teacher without a known price
    _keep(tmp_path, made(test_accuracy=0.7))
    free = {"teacher": "", "teacher_cost_usd": 0.0, "labels": "gold"}
    _keep(tmp_path, _classifier(test_accuracy=0.8, **free))
    # But rows are not free: those of more of them stand beside nobody.
    more = {**free, "train_rows": 1001, "data": "more@1"}
    _keep(tmp_path, _classifier(test_accuracy=0.99, valid_accuracy=0.9, **more))
    lines = {line["student"]: line for line in _tables(tmp_path)["encoder"]}
    told = lines["t5-v1_1-base, standard, gold, shards@1a2b3c"]
    assert (
        told["encoder"] == "bert, encoder, gold, shards@1a2b3c"
        and told["student_is"] == "no better (one seed)"
    )
    assert len(lines) == 2


def test_without_a_classifier_the_table_says_how_to_have_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _study(tmp_path)
    assert not _tables(tmp_path)["encoder"]
    assert "`--student encoder` trains one on the same rows" in capsys.readouterr().out
