"""The work of a run: requests counted exactly, tokens within 2 % of the real count."""

from itertools import islice
from pathlib import Path

import pytest

from stepdistill.annotator.estimate.three_points import ThreePoints
from stepdistill.annotator.estimate.workload import COUNTED, PromptSample, Workload, workload_of
from stepdistill.annotator.money.tokens import (
    CL100K,
    O200K,
    count_prompt,
    encoding_of,
    has_encoding,
)
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.mix import Mix, single
from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.answer import Usage
from stepdistill.annotator.store.response_store import ResponseStore
from tests.annotator.made import an_answer
from tests.annotator.plan.test_plan import APART, a_plan
from tests.annotator.run.test_rationale_rate import N, a_plan_of_many
from tests.journeys.conftest import REAL_DATA, ROOT


def work_of(plan: Plan, store: ResponseStore | None = None) -> Workload:
    return workload_of([plan], store, CL100K)


def put(store: ResponseStore, plan: Plan, n: int, **usage: int) -> None:
    counts = Usage(20, 10)._replace(**usage)
    keys = [row.label.key for row in islice(plan.rows(), n)]
    store.put([(key, an_answer(usage=counts)) for key in keys], [])


def test_what_the_store_has_is_free_and_the_rest_is_to_be_asked(tmp_path: Path):
    plan = a_plan_of_many(tmp_path, single("plain"))
    with ResponseStore.open(tmp_path / "store", write=True) as store:
        put(store, plan, 30)
        work = work_of(plan, store)

    load = work.loads["plain", "both"]
    assert (work.rows, work.stored, work.to_ask) == (N, 30, N - 30)
    assert (load.answers.n, load.answers.completion) == (30, 300)


def test_label_and_rationale_of_two_templates_are_two_loads(tmp_path: Path):
    work = work_of(a_plan_of_many(tmp_path, APART))

    assert {place: load.to_ask for place, load in work.loads.items()} == {
        ("plain", "label"): N,
        ("long", "rationale"): N,
    }


def test_a_rate_asks_for_as_many_rationales(tmp_path: Path):
    work = work_of(a_plan_of_many(tmp_path, APART, rationales_below=0.25))

    assert work.loads["long", "rationale"].to_ask == pytest.approx(N / 4, abs=N / 10)


def test_votes_are_asked_and_counted_apart(tmp_path: Path):
    work = work_of(a_plan_of_many(tmp_path, single("plain"), votes=3))

    assert work.loads["plain", "vote"].to_ask == 2 * N
    assert work.to_ask == 3 * N


def test_rows_that_ask_the_same_are_paid_for_once(tmp_path: Path):
    plan = a_plan_of_many(tmp_path, single("plain"))
    work = workload_of([plan, plan], None, CL100K)

    assert (work.rows, work.repeated, work.to_ask) == (2 * N, N, N)


def test_prompts_of_a_small_plan_are_counted_to_the_token(tmp_path: Path):
    plan = a_plan(tmp_path, single("long"))
    load = work_of(plan).loads["long", "both"]
    tokens = sum(count_prompt(r.label.system, r.label.user, CL100K) for r in plan.rows())

    assert load.sample.scaled(load.to_ask, load.bytes) == ThreePoints(tokens, tokens, tokens)


def test_a_sample_says_how_far_it_may_be_off():
    sample = PromptSample()
    for n in range(1, 101):
        sample.add(tokens=n * 10 + (5 if n % 2 else -5), n_bytes=n * 40)
    whole = sample.scaled(10_000, 40 * 505 * 1_000)

    assert whole.low < whole.likely < whole.high
    assert whole.likely == pytest.approx(5_050_000, rel=0.001)
    assert whole.high / whole.likely < 1.01


def test_the_teachers_own_count_corrects_ours(tmp_path: Path):
    plan = a_plan_of_many(tmp_path, single("plain"))
    ours = work_of(plan).loads["plain", "both"].sample
    with ResponseStore.open(tmp_path / "store", write=True) as store:
        put(store, plan, N, prompt=2 * ours.tokens // ours.n)
        assert work_of(plan, store).prompt_factor == pytest.approx(2, rel=0.15)


def test_an_answer_without_a_count_teaches_nothing(tmp_path: Path):
    plan = a_plan_of_many(tmp_path, single("plain"))
    with ResponseStore.open(tmp_path / "store", write=True) as store:
        put(store, plan, N, prompt=0, completion=0)
        work = work_of(plan, store)

    assert (work.loads["plain", "both"].answers.n, work.prompt_factor) == (0, 1)


def test_each_model_has_its_vocabulary():
    models = ("gpt-3.5-turbo", "gpt-4", "gpt-4-turbo", "gpt-4o-mini", "gpt-4.1", "gpt-6-luna", "x")

    assert [encoding_of(model) for model in models] == [CL100K] * 3 + [O200K] * 4
    assert [has_encoding(model) for model in models] == [True] * 6 + [False]


@pytest.mark.parametrize("encoding", [CL100K, O200K])
@pytest.mark.parametrize("task", ["cqa", "esnli"])
def test_a_sample_of_real_prompts_is_within_2_percent(task: str, encoding: str):
    if not REAL_DATA.is_dir():
        pytest.skip("no real data beside the checkout (../shared/data)")
    config = RunSettings(
        task=task,
        splits=("train",),
        teacher="any",
        prompts=ROOT / "prompts",
        store=Path("none"),
        out=Path("none"),
        data=str(REAL_DATA / "datasets" / task),
        samples=5_000,
        base_url="http://localhost/v1",
    )
    plans = make_plans(config)
    (load,) = workload_of(plans, None, encoding).loads.values()
    every = (count_prompt(row.label.system, row.label.user, encoding) for row in plans[0].rows())
    few = PromptSample()
    for n, row in enumerate(plans[0].rows()):
        if n % 25 == 0:
            tokens = count_prompt(row.label.system, row.label.user, encoding)
            few.add(tokens, len(row.label.user.encode()))
    exact = sum(every)

    assert load.to_ask > COUNTED
    assert load.sample.scaled(load.to_ask, load.bytes).likely == pytest.approx(exact, rel=0.001)
    rough = few.scaled(load.to_ask, load.bytes)  # of 200 prompts
    assert rough.likely == pytest.approx(exact, rel=0.02)
    assert rough.low * 0.99 < exact < rough.high * 1.01


def test_a_mix_weighs_each_template_by_its_share(tmp_path: Path):
    halves = {"plain": 0.5, "long": 0.5}
    work = work_of(a_plan_of_many(tmp_path, Mix(label=halves, rationale=halves)))

    assert {place: load.to_ask for place, load in work.loads.items()} == {
        ("plain", "both"): N // 2,
        ("long", "both"): N // 2,
    }
