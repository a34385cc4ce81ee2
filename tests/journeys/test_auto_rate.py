"""`--rationale-rate auto`: the run that the rate it found would have made, and none paid twice."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.simulator.rehearsal import rehearse
from stepdistill.annotator.simulator.server import Simulator
from tests.journeys.conftest import ANNOTATE, Annotate, digests
from tests.journeys.money import with_prices

APART = "label: {label-first: 1.0}\nrationale: {reason-first: 1.0}\nseed: 1\n"
AUTO = ("--rationale-rate", "auto", "--rationale-seeds", "2", "--rationale-steps", "5")
ROWS = 100


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    with_prices(tmp_path)
    (tmp_path / "apart.yaml").write_text(APART)


def words(out: str, *more: str) -> tuple[str, ...]:
    rows = ("--split", "train,valid", "--samples", str(ROWS), "--mix", "apart.yaml")
    teacher = () if "--base-url" in more else ("--teacher", "simulated")
    return ("run", "demo", *rows, *teacher, "--store", f"store-{out}", "--out", out, *more)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((*AUTO, "--shard", "0/2"), "auto goes with all rows, not with --shard"),
        ((*AUTO, "--batch-api", "--no-wait"), "asks in rounds: leave out --no-wait"),
        (("--rationale-rate", "often"), "--rationale-rate often: a share from 0 to 1, or auto"),
        (("--rationale-student", "mini"), "go with --rationale-rate auto"),
        (("--point-worth", "1"), "--point-worth goes with --rationale-rate auto"),
        ((*AUTO, "--point-worth", "dear"), "--point-worth dear: US dollars, as 5 or 0.25"),
        ((*AUTO, "--rationale-seeds", "1"), "--rationale-seeds"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    annotate: Annotate, more: tuple[str, ...], said: str
) -> None:
    done = annotate(*words("out"), *more)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_students_learn_from_split_train(annotate: Annotate) -> None:
    done = annotate("run", "demo", "--teacher", "simulated", "--split", "valid", *AUTO)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "add --split train" in done.err


def test_rows_without_gold_need_a_split_to_judge_by(annotate: Annotate, tmp_path: Path) -> None:
    rows = [f'{{"text": "text number {n}"}}' for n in range(40)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    made = ("--labels", "joyful,gloomy", "--prompts", "prompts", "--data-out", "data", "--yes")
    done = annotate("new", "mood", "rows.jsonl", *made)
    assert done.code == 0, done.err
    own = ("--prompts", "prompts", "--data", "data", "--teacher", "simulated")
    done = annotate("run", "mood", *own, *AUTO)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "add --split valid" in done.err


def test_a_mix_without_reasons_and_a_price_that_nobody_knows(
    annotate: Annotate, tmp_path: Path
) -> None:
    (tmp_path / "bare.yaml").write_text("label: {label-first: 1.0}\nrationale: {}\nseed: 1\n")
    done = annotate(*words("out"), "--mix", "bare.yaml", *AUTO)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "this mix asks for no reasons" in done.err
    unknown = ("--teacher", "nobody-knows-this", "--base-url", "http://127.0.0.1:9/v1")
    done = annotate(*words("out"), *unknown, *AUTO, "--point-worth", "1")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "nobody-knows-this" in done.err


def test_an_estimate_refuses_it_and_says_what_to_ask(annotate: Annotate, tmp_path: Path) -> None:
    (tmp_path / "auto.yaml").write_text("rationale_rate: auto\n")
    for more in (("--rationale-rate", "auto"), ("--config", "auto.yaml")):
        done = annotate("estimate", "demo", "--teacher", "simulated", *more)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "--rationale-rates 0,0.2,0.4,0.7,1" in done.err


def simulator(folder: Path) -> Simulator:
    """A teacher who knows the demo's rows in the words of either template."""
    config = RunSettings(
        task="demo",
        splits=("train", "valid"),
        teacher="t",
        prompts=shipped_tasks(),
        mix=str(folder / "apart.yaml"),
        store=folder,
        out=folder,
    )
    return Simulator(rehearse(make_plans(config)))


async def first_student(folder: Path) -> None:
    """Wait until one was trained."""

    def is_there() -> bool:
        return any(folder.glob("store-killed/rationale-rate/*/students.jsonl"))

    async with asyncio.timeout(100):
        while not await asyncio.to_thread(is_there):  # noqa: ASYNC110  # a file tells nobody
            await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(280)
async def test_no_more_is_bought_than_was_tried_and_a_kill_changes_nothing(
    annotate: Annotate, tmp_path: Path
) -> None:
    (tmp_path / "auto.yaml").write_text("rationale-rate: auto\nrationale_seeds: 2\n")
    options = ("--config", "auto.yaml", "--rationale-steps", "5")
    async with simulator(tmp_path) as teacher:
        at = ("--teacher", "t", "--base-url", teacher.base_url)
        command = words("killed", *at, *options, "--json")
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            ANNOTATE, *command, cwd=tmp_path, stdout=pipe, stderr=pipe, start_new_session=True
        )
        await first_student(tmp_path)
        assert child.returncode is None
        os.killpg(child.pid, signal.SIGKILL)
        await child.communicate()
        after = await asyncio.to_thread(annotate, *command)
        assert after.code == 0, after.err
        served = teacher.log.served_count()
        again = await asyncio.to_thread(annotate, *command)
        assert teacher.log.served_count() == served
        found = after.json["rationale_rate"]
        assert again.json["rationale_rate"] == found
        assert after.json["cached"] >= 2 * ROWS - 1 and again.json["asked"] == 0
        # Five steps teach nothing: the reasons of one row in five were bought, and no more.
        assert [each["rate"] for each in found["tried"]] == [0.0, 0.2]
        assert found["rate"] == 0.0
        assert "no more than noise" in found["why"]
        assert 2 * ROWS * 1.2 <= served <= 2 * ROWS * 1.3  # some answers have no reasons
        fixed = ("--rationale-rate", "0", "--json")
        plain = await asyncio.to_thread(annotate, *words("plain", *at, *fixed))
    assert plain.code == 0, plain.err
    assert digests(tmp_path / "killed") == digests(tmp_path / "plain")


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_ceiling_is_kept_and_reasons_that_came_along_are_kept(annotate: Annotate) -> None:
    # 100 labels of either split cost some 0.05 USD, their reasons more.
    done = annotate(*words("poor", *AUTO, "--max-cost", "0.06", "--json"))
    assert done.code == 0, done.err
    found = done.json["rationale_rate"]
    assert found["rate"] == 0.0
    assert "--max-cost was reached before the reasons of 20%" in found["why"]
    assert done.json["cost_usd"] <= 0.06
    whole = annotate(*words("whole", *AUTO), "--mix", "default")
    assert whole.code == 0, whole.err
    assert "label and reasons come in one answer, so all are paid for" in whole.out
    assert "Rate 1: " in whole.out
