"""A whole run on one rank: what it writes, and that this is what it says it is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from stepdistill.common.record import Record
from stepdistill.trainer.data.examples import eval_set
from stepdistill.trainer.data.shards import read_data
from stepdistill.trainer.main import main
from stepdistill.trainer.model.pretrained import pretrained
from stepdistill.trainer.scores import score
from stepdistill.trainer.settings.tasks import judged
from stepdistill.trainer.settings.train import TrainSettings, parse
from stepdistill.trainer.training.engine import start, stop
from stepdistill.trainer.training.evaluation import evaluate, tokenise_eval
from tests.trainer.conftest import RUN, STEPS
from tests.trainer.made_bases import made_base
from tests.trainer.made_rows import arguments, word_problems, write_split


def _results(output: Path) -> Any:
    return orjson.loads((output / "results.json").read_bytes())


def _losses(output: Path) -> list[tuple[float, float]]:
    points = _results(output)["history"]["train"]
    return [(point["loss"], point["grad_norm"]) for point in points]


def test_the_loss_falls(finished: TrainSettings) -> None:
    losses = [loss for loss, _ in _losses(finished.output)]
    assert len(losses) == STEPS
    assert losses[-1] < 0.8 * losses[0]


def test_the_results_say_what_was_done(finished: TrainSettings) -> None:
    results = _results(finished.output)
    assert results["data"]["train"]["records"] == 60
    assert results["data"]["train"]["used"] == 60
    assert 0 < results["data"]["train"]["without_rationale"] < 60
    assert [point["step"] for point in results["history"]["valid"]] == [6, 12]
    assert set(results["test"]) == {"student", "teacher", "majority"}
    assert results["test"]["student"]["n"] == 20
    assert (results["config"]["precision"], results["config"]["lr"]) == ("fp32", 3e-3)


def test_tensorboard_has_the_curves(finished: TrainSettings) -> None:
    [events] = (finished.output / "board").glob("events.out.tfevents.*")
    content = events.read_bytes()
    assert all(name in content for name in (b"loss/predict", b"loss/explain", b"valid/accuracy"))


def test_the_model_has_a_card_and_says_how_it_is_asked(finished: TrainSettings) -> None:
    card = (finished.output / "model" / "README.md").read_text()
    test = _results(finished.output)["test"]["student"]
    assert f"| student | {test['accuracy']:.3f} |" in card and "simulated" in card
    use = orjson.loads((finished.output / "model" / "stepdistill.json").read_bytes())
    assert (use["prefix"], use["explain_prefix"]) == ("predict: ", "explain: ")


def test_throughput_and_padding_are_told(finished: TrainSettings) -> None:
    cost = _results(finished.output)["cost"]
    assert cost["rows_per_s"] * cost["seconds"] == pytest.approx(STEPS * 8)
    assert cost["tflops_per_s"] > 0 and cost["peak_share"] is None
    assert 0 <= cost["padding"] < 0.5


def test_the_saved_student_is_the_judged_one(finished: TrainSettings) -> None:
    saved = pretrained(str(finished.output / "model"), None)
    data = read_data(finished)
    world = start()
    for name, split in (("test", data.test), ("valid", data.valid)):
        examples = eval_set(split).examples
        batches = tokenise_eval(examples, saved, judged(finished.table()), 512, "greedy")
        answers = evaluate(saved, batches, world, lockstep=False)
        found = score(answers.labels, examples, data.kind)
        message = _results(finished.output)[name]
        assert found.right == (message["student"] if name == "test" else message)["right"]
    stop()


def test_the_same_again_has_nothing_to_do(
    data: Path, finished: TrainSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    line = arguments(data, finished.output, **RUN)
    before = (finished.output / "results.json").stat().st_mtime_ns
    assert main(line) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert (finished.output / "results.json").stat().st_mtime_ns == before


def test_another_run_in_the_same_folder_is_refused(
    data: Path, finished: TrainSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(data, finished.output, **(RUN | {"seed": 5}))) == 2
    assert "from other settings or data" in capsys.readouterr().err


def test_a_saved_student_trains_on(data: Path, finished: TrainSettings, tmp_path: Path) -> None:
    options = {"steps": 1, "batch_size": 4, "mode": "standard", "labels": "gold"}
    line = arguments(data, tmp_path, **options)
    assert main([*line, "--quiet", "--model", str(finished.output / "model"), "--lr=1e-4"]) == 0
    assert _results(tmp_path)["test"]["student"]["n"] == 20


@pytest.mark.parametrize(
    ("lr", "validated"), [("1e30", 100), ("inf", 1)], ids=["by its loss", "by its answers"]
)
def test_a_loss_that_is_no_number_ends_the_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], lr: str, validated: int
) -> None:
    wild = {"steps": 8, "batch_size": 4, "warmup": 0, "lr": lr, "log_every": 1}
    wild["eval_every"] = validated
    assert main([*arguments(data, tmp_path, **wild), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "lower --lr" in error and "Traceback" not in error
    assert error.count("\n") == 1
    assert not (tmp_path / "results.json").exists()


def test_one_target_may_hold_label_and_rationale(data: Path, tmp_path: Path) -> None:
    options = {"steps": 2, "batch_size": 4, "mode": "label-rationale"}
    assert main([*arguments(data, tmp_path, **options), "--quiet"]) == 0
    assert [task["target"] for task in _results(tmp_path)["tasks"]] == ["label-rationale"]


def test_a_table_of_tasks_of_ones_own(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "tasks.json"
    tasks = [
        {"name": "name-it", "prefix": "name: ", "target": "label"},
        {"name": "tell", "prefix": "tell: ", "target": "rationale", "schedule": "fade"},
        {"name": "both", "target": "label-rationale", "weight": 0.5, "schedule": "grow"},
    ]
    table.write_bytes(orjson.dumps(tasks))
    options = {"steps": 3, "batch_size": 8, "log_every": 1, "tasks": table}
    assert main([*arguments(data, tmp_path / "out", **options), "--quiet"]) == 0
    history = _results(tmp_path / "out")["history"]["train"]
    for point, (fading, growing) in zip(history, [(1, 0), (0.5, 0.25), (0, 0.5)], strict=True):
        losses = point["losses"]
        expected = losses["name-it"] + fading * losses["tell"] + growing * losses["both"]
        assert point["loss"] == pytest.approx(expected)


def test_all_that_is_off_by_default_can_be_on_together(data: Path, tmp_path: Path) -> None:
    options = {"steps": 2, "batch_size": 4, "mutual": 0.1, "rationales": 2, "subsample": 0.5}
    options |= {"row_weight": "confidence", "curve": "cosine", "batch_tokens": 600}
    options |= {"pack": 400}
    rows = [
        replace(row, label_votes={str(row.label): 3}, label_confidence=0.6)
        for row in word_problems("train", 60)
    ]
    folder = write_split(tmp_path / "train", rows)
    line = [*arguments(data, tmp_path, **options), "--soft-labels", "--activation-checkpointing"]
    assert main([*line, f"--train={folder}", "--quiet"]) == 0
    results = _results(tmp_path)
    assert results["data"]["train"]["used"] == 30
    assert results["history"]["train"][-1]["losses"]["mutual"] > 0


def test_what_is_cut_is_counted_and_said(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = word_problems("train", 12)
    rows = [replace(row, rationale="so it is " * 9) if i < 5 else row for i, row in enumerate(rows)]
    folder = write_split(tmp_path / "train", rows)
    options = {"steps": 1, "batch_size": 4, "max_target_tokens": 20, "max_input_tokens": 8}
    line = [*arguments(data, tmp_path / "out", **options), f"--train={folder}", "--quiet"]
    assert main(line) == 0
    found = {(cut["split"], cut["what"]): cut for cut in _results(tmp_path / "out")["cut"]}
    explained, asked = found["train", "targets of explain"], found["test", "inputs"]
    assert (explained["cut"] >= 5, explained["of"], explained["limit"]) == (True, 12, 20)
    assert found["train", "targets of predict"]["cut"] == 0
    assert (asked["cut"], asked["of"]) == (20, 20)
    [message] = [line for line in capsys.readouterr().err.splitlines() if "targets of" in line]
    assert message.startswith(
        f"train: {explained['cut']} of 12 targets of explain are longer than 20"
    )
    assert "--max-target-tokens allows more" in message


def test_labels_may_be_scored_for_probabilities(data: Path, tmp_path: Path) -> None:
    options = {"steps": 2, "batch_size": 4, "evaluate_by": "scoring"}
    assert main([*arguments(data, tmp_path, **options), "--quiet"]) == 0
    results, kept = _results(tmp_path), tmp_path / "evaluation.json"
    # A student of two steps says no label greedily, but one is always the likeliest.
    assert sum(one["named"] for one in results["test"]["student"]["classes"].values()) == 20
    line = ["evaluate", str(tmp_path / "model"), str(data / "test"), "--json", str(kept)]
    assert main([*line, "--quiet"]) == 0
    evaluated = orjson.loads(kept.read_bytes())
    assert evaluated["student"] == results["test"]["student"]
    assert evaluated["calibration"]["error"] == pytest.approx(results["calibration"]["error"])


def test_the_originals_recipe_has_a_name(data: Path, tmp_path: Path) -> None:
    config = parse(arguments(data, tmp_path, preset="original", batch_size=16))
    assert (config.peak_lr, config.warmup, config.batch_size) == (5e-5, 0, 16)
    assert config.learning_rate(0) == 5e-5


def test_a_label_that_cannot_be_written_is_refused(
    data: Path, finished: TrainSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [replace(row, label="{Ω}") for row in word_problems("train", 3)]
    folder = write_split(tmp_path / "train", rows)
    line = arguments(data, tmp_path / "out", model=finished.output / "model")
    assert main([*line, f"--train={folder}", "--quiet"]) == 2
    assert "cannot write the label '{Ω}'" in capsys.readouterr().err


def _in_chinese(split: str, n: int) -> list[Record]:
    """Rows without a letter or a colon of the separator."""
    said = {"addition": "好", "subtraction": "不好", "multiplication": "很好", "division": "都行"}
    rows = word_problems(split, n, noise=0)
    return [
        replace(
            row,
            input={"story": f"这个 {said[str(row.label)]}", "question": "吗"},
            rationale=f"它说 {said[str(row.label)]}",
        )
        for row in rows
    ]


def test_a_separator_that_no_text_holds_still_parts_label_and_reasons(tmp_path: Path) -> None:
    folders = {s: write_split(tmp_path / s, _in_chinese(s, 24)) for s in ("train", "valid", "test")}
    line = [f"--{split}={folder}" for split, folder in folders.items()]
    more = [
        "--model=micro",
        "--mode=label-rationale",
        "--steps=160",
        "--eval-every=80",
        "--lr=3e-3",
    ]
    line += [*more, "--warmup=5", "--batch-size=8", f"--output={tmp_path / 'out'}", "--quiet"]
    assert main(line) == 0
    found, kept = _results(tmp_path / "out")["test"]["student"], tmp_path / "evaluation.json"
    assert found["accuracy"] > 0.9
    line = ["evaluate", str(tmp_path / "out" / "model"), str(folders["test"]), "--quiet"]
    assert main([*line, "--json", str(kept)]) == 0
    assert orjson.loads(kept.read_bytes())["student"] == found


def test_a_base_that_cannot_write_the_separator_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [row.input["story"].replace("R", "") for row in word_problems("train", 20)]
    base = made_base("t5", tmp_path / "base", texts)
    line = arguments(data, tmp_path / "out", model=base, mode="label-rationale")
    assert main([*line, "--quiet"]) == 2
    assert "cannot write ' Reasons: ', which parts label and reasons" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
