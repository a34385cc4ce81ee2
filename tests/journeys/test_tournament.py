"""Several teachers with prices raced on live servers: the right one is bought, each answer is paid
once, and whoever fails drops out with a line."""

import asyncio
import csv
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest

from stepdistill.annotator.run.planning import make_template_plan
from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.simulator.answers import UnstructuredTeacher
from stepdistill.annotator.simulator.faults import Latency
from stepdistill.annotator.simulator.rehearsal import rehearse, rehearse_templates
from stepdistill.annotator.simulator.reply import AnswerSource
from stepdistill.annotator.simulator.server import SimulatedModel, Simulator, SimulatorSettings
from tests.journeys.conftest import ANNOTATE, Annotate, Done

PRICES = """
models:
  small: [{valid_from: 2026-01-01, source: made up, input: 0.1, output: 0.4}]
  large:
  - valid_from: 2026-01-01
    source: made up
    input: 1
    output: 4
    batch: {input: 0.5, output: 2}
    tiers: {flex: {input: 0.6, output: 2.4}}
"""
SMALL = {"plain-sentence": 0.55, "label-first": 0.5, "reason-first": 0.45}
LARGE = {"plain-sentence": 0.97, "label-first": 0.8, "reason-first": 0.6}


@pytest.fixture(autouse=True)
def prices(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES)


def knows(folder: Path, by_template: Mapping[str, float], seed: int) -> AnswerSource:
    """A teacher whom the demo task's templates lead so well."""
    settings = RunSettings(
        task="demo", splits=("train",), teacher="t", prompts=shipped_tasks(), store=folder,
        out=folder,
    )  # fmt: skip
    known = rehearse([], seed=seed)
    return rehearse_templates([make_template_plan(settings, ())], known, by_template)


@asynccontextmanager
async def two_teachers(
    folder: Path, settings: SimulatorSettings | None = None
) -> AsyncGenerator[tuple[Simulator, Simulator]]:
    """A cheap poor one and a dear good one."""
    async with (
        Simulator(knows(folder, SMALL, 1), settings) as small,
        Simulator(knows(folder, LARGE, 2), settings) as large,
    ):
        yield small, large


def words(small: Simulator, large: Simulator, *more: str, of_large: str = "") -> tuple[str, ...]:
    """The command. of_large: what stands behind the large one's name."""
    teachers = f"small@{small.base_url},large{of_large}@{large.base_url}"
    size = () if "--test-size" in more else ("--test-size", "200")
    return ("experiment", "demo", "--teachers", teachers, *size, *more)


async def run(annotate: Annotate, *given: str) -> Done:
    return await asyncio.to_thread(annotate, *given)


def times(*teachers: Simulator) -> Counter[bytes]:
    return Counter(entry.digest for each in teachers for entry in each.log.entries)


async def test_the_good_one_is_bought_and_what_is_asked_is_asked_once(
    annotate: Annotate, tmp_path: Path
) -> None:
    async with two_teachers(tmp_path) as (small, large):
        # Tiers and batches are ways to buy the same answers.
        more = f"@flex@{large.base_url},large@batch@{large.base_url},large"
        line = words(small, large, "--json", "--csv", "o.csv", of_large=more)
        done = await run(annotate, *line)
        asked = times(small, large)
        again = await run(annotate, *line, "--offline")
        command = again.json["command"].split()
        bought = await run(annotate, *command[1:], "--samples", "20", "--prices", "prices.yaml")
        plots = await run(annotate, "plots", "--out", "figures", "--task", "demo", "--json")
    assert done.code == 0, done.err
    found = done.json
    buy = found["buy"]
    assert (buy["teacher"], buy["template"]) == ("large@batch", "plain-sentence")
    assert found["share"] <= 0.4
    assert len(asked) == found["asked"] == asked.total()
    assert found["frontier"][-1] == "large@batch / plain-sentence"
    by_name = {(each["teacher"], each["template"]): each for each in found["offers"]}
    usual, flex, batch = (
        by_name[name, "plain-sentence"] for name in ("large", "large@flex", "large@batch")
    )
    assert usual["accuracy"] == flex["accuracy"] == batch["accuracy"]
    assert usual["usd_per_1000_rows"] == pytest.approx(2 * batch["usd_per_1000_rows"])
    assert flex["usd_per_1000_rows"] == pytest.approx(1.2 * batch["usd_per_1000_rows"])
    assert (usual["beaten_by"], usual["on_frontier"]) == ("large@batch / plain-sentence", False)
    low, high = batch["usd_per_1000_correct_low"], batch["usd_per_1000_correct_high"]
    assert low < batch["usd_per_1000_correct"] < high
    assert len(list(csv.DictReader(StringIO((tmp_path / "o.csv").read_text())))) == 12
    assert again.code == 0, again.err
    assert (again.json["asked"], again.json["offers"]) == (0, found["offers"])
    assert "--batch-api" in command
    assert bought.code == 0, bought.err
    assert plots.code == 0, plots.err
    names = ["figures/frontier-demo.png", "figures/frontier-demo.svg"]
    assert plots.json["figures"]["frontier-demo"] == names
    # The very figures of the table: the caption names all offers and rows.
    assert f"n = {len(found['offers'])} offers" in (tmp_path / names[1]).read_text()


@pytest.mark.slow
@pytest.mark.timeout(280)
async def test_workers_of_ray_ask_what_one_process_asks(annotate: Annotate, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not there: --engine ray is not tried")
    found = dict[str, Done]()
    async with two_teachers(tmp_path) as (small, large):
        for name, more in (("ray", ("--engine", "ray", "--workers", "2")), ("one", ())):
            at = ("--store", name, "--metadata", f"{name}.yaml", "--json", *more)
            found[name] = await run(annotate, *words(small, large, *at))
            assert found[name].code == 0, found[name].err
        asked = times(small, large)
    ray, one = (found[name].json for name in ("ray", "one"))
    assert (ray["buy"], ray["offers"]) == (one["buy"], one["offers"])
    assert (ray["asked"], ray["cost_usd"]) == (one["asked"], one["cost_usd"])
    assert set(asked.values()) == {2}, "a question was asked twice in one of the two"


async def test_a_teacher_that_fails_drops_out_with_a_line_and_the_others_go_on(
    annotate: Annotate, tmp_path: Path
) -> None:
    gone = SimulatorSettings(models=(SimulatedModel(id="another"),))
    async with (
        Simulator(knows(tmp_path, SMALL, 1), gone) as small,
        Simulator(knows(tmp_path, LARGE, 2)) as large,
    ):
        line = words(small, large, "--html", "page.html", "--plot", "figures")
        done = await run(annotate, *line)
        alone = ("experiment", "demo", "--teachers", f"small@{small.base_url}")
        nobody = await run(annotate, *alone)
    assert done.code == 3
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("annotate: 1 of 2 teachers dropped out")
    assert "Buy large / plain-sentence" in done.out
    assert "small: 0 asked" in done.out
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") == 1
    assert "1 of 2 teachers dropped out" in page
    assert (tmp_path / "figures" / "frontier-demo.png").stat().st_size > 1000
    assert nobody.code == 2
    assert "Traceback" not in nobody.err


@pytest.mark.slow
async def test_nobody_listens_at_one_address(annotate: Annotate, tmp_path: Path) -> None:
    async with Simulator(knows(tmp_path, LARGE, 2)) as large:
        teachers = f"other@http://127.0.0.1:9/v1,large@{large.base_url}"
        done = await run(annotate, "experiment", "demo", "--teachers", teachers, "--json")
    assert done.code == 3
    assert [each["dropped_out"] is None for each in done.json["teachers"]] == [False, True]
    assert "nobody listens" in done.json["incomplete"]


@pytest.mark.slow
async def test_killed_again_and_again_it_comes_to_the_same_end(
    annotate: Annotate, tmp_path: Path
) -> None:
    slow = SimulatorSettings(latency=Latency(median_ms=20))
    async with two_teachers(tmp_path, slow) as (small, large):
        line = words(small, large, "--concurrency", "4", "--quiet", "--json")
        for seconds in (2.0, 3.0, 4.0):
            process = await asyncio.create_subprocess_exec(
                str(ANNOTATE), *line, cwd=tmp_path, stdout=asyncio.subprocess.DEVNULL
            )
            await asyncio.sleep(seconds)
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()
        last = await run(annotate, *line)
        asked = times(small, large)
        unbroken = await run(annotate, *line, "--store", "another")
    assert last.code == 0, last.err
    assert last.json["offers"] == unbroken.json["offers"]
    assert last.json["buy"] == unbroken.json["buy"]
    assert len(asked) == unbroken.json["asked"]
    assert asked.total() - len(asked) <= 3 * 2 * 4  # in flight, or in a commit's short wait


@pytest.mark.slow
async def test_one_ceiling_holds_for_all_teachers_and_a_higher_one_goes_on(
    annotate: Annotate, tmp_path: Path
) -> None:
    async with two_teachers(tmp_path) as (small, large):
        tight = words(small, large, "--max-cost", "0.02", "--max-tokens", "60", "--json")
        done = await run(annotate, *tight)
        billed = _billed_usd(small, large)
        whole = await run(annotate, *words(small, large, "--max-cost", "5", "--json"))
        asked = times(small, large)
    assert done.code == 3
    assert "--max-cost 0.02" in done.err
    assert done.json["incomplete"].startswith("--max-cost")
    assert Decimal("0.01") < billed <= Decimal("0.02")
    assert whole.code == 0, whole.err
    assert set(asked.values()) == {1}


def _billed_usd(small: Simulator, large: Simulator) -> Decimal:
    (a_prompt, an_answer), (prompt, answer) = small.log.billed_tokens(), large.log.billed_tokens()
    return (Decimal(a_prompt + 4 * an_answer) / 10 + prompt + 4 * answer) / 1_000_000


async def test_an_unknown_price_is_said_and_refused_under_a_ceiling(
    annotate: Annotate, tmp_path: Path
) -> None:
    async with Simulator(knows(tmp_path, LARGE, 2)) as large:
        teachers = f"mine@{large.base_url},large@{large.base_url}"
        line = ("experiment", "demo", "--teachers", teachers, "--test-size", "20")
        refused = await run(annotate, *line, "--max-cost", "5")
        assert not large.log.entries
        done = await run(annotate, *line, "--json")
    assert refused.code == 2
    assert "no price is known for mine" in refused.err
    assert done.code == 0, done.err
    assert done.json["cost_usd"] is None
    assert any("mine: no price is known" in remark for remark in done.json["remarks"])
    unpriced = [each for each in done.json["offers"] if each["teacher"] == "mine"]
    assert {each["usd_per_1000_rows"] for each in unpriced} == {None}
    assert not any(each["on_frontier"] for each in unpriced)
    # One and the same server: both are as good, and only of one it is known what it costs.
    assert done.json["buy"]["teacher"] == "large"


@pytest.mark.slow
async def test_an_effort_is_another_teacher_with_answers_of_its_own(
    annotate: Annotate, tmp_path: Path
) -> None:
    async with Simulator(knows(tmp_path, LARGE, 2)) as large:
        teachers = f"large@{large.base_url},large@effort=low@{large.base_url}"
        line = ("experiment", "demo", "--teachers", teachers, "--test-size", "20", "--no-race")
        done = await run(annotate, *line, "--json")
        n_asked = len(times(large))
    assert done.code == 0, done.err
    assert n_asked == done.json["asked"] == 2 * 3 * 20
    assert {each["effort"] for each in done.json["offers"]} == {None, "low"}
    again = await run(annotate, "evaluate", "demo", "--json")
    assert again.code == 0, again.err
    efforts = [study["setting"].get("effort") for study in again.json["studies"]]
    assert efforts == [None, "low"]
    assert all(len(study["ranking"]) == 3 for study in again.json["studies"])


@pytest.mark.slow
async def test_one_that_refuses_structured_answers_is_asked_without(
    annotate: Annotate, tmp_path: Path
) -> None:
    lines = [f"the {n}th of the texts,{('sport', 'weather')[n % 2]}\n" for n in range(60)]
    (tmp_path / "own.csv").write_text("text,topic\n" + "".join(lines))
    made = annotate("new", "own", "own.csv", "--label", "topic", "--valid", "0", "--test", "0")
    assert made.code == 0, made.err
    prompts, data = tmp_path / "prompts", str(tmp_path / "data" / "own")
    settings = RunSettings(task="own", data=data, prompts=prompts, teacher="t")
    plans = [make_template_plan(settings, ())]
    takes, refuses = (
        rehearse_templates(plans, rehearse([], accuracy=accuracy), {}) for accuracy in (1.0, 0.6)
    )
    async with (
        Simulator(takes) as large,
        Simulator(UnstructuredTeacher(teacher=refuses, refuses=True)) as small,
    ):
        teachers = f"small@{small.base_url},large@{large.base_url}"
        done = await run(
            annotate,
            *("experiment", "own", "--data", "data/own", "--teachers", teachers, "--json"),
        )
        refusals = [entry for entry in small.log.entries if entry.outcome.status == 400]
    assert done.code == 0, done.err
    assert 1 <= len(refusals) <= 4
    assert done.json["buy"]["teacher"] == "large"
    assert all(each["parse_rate"] == 1 for each in done.json["offers"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "--teacher"),
        (("--teacher", "a", "--teachers", "b"), "exclude each other"),
        (("--teachers", "a@flexx"), "after an @ stand"),
        (("--teachers", "openai:gpt-5,simulated"), "OPENAI_API_KEY"),
        (("--teachers", "simulated", "--batch-api"), "A@batch"),
        (("--teacher", "simulated", "--worth", "1"), "--teachers"),
        (("--teachers", "a@http://127.0.0.1:1/v1,a@http://127.0.0.1:2/v1"), "a name of its own"),
        (("--teachers", "simulated", "--offline"), "no store here"),
    ],
)
def test_what_cannot_be_is_one_line(annotate: Annotate, given: tuple[str, ...], said: str) -> None:
    done = annotate("experiment", "demo", *given)
    assert done.code in (2, 3)
    assert said in done.err.splitlines()[-1]
    assert "Traceback" not in done.err
