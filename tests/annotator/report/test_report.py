"""Every paid answer has its run, and what it was for as far as that can still be said; which
templates are efficient follows."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from stepdistill.annotator.plan.plan import Plan, name_of
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.report.account import NO_RUN, Judged
from stepdistill.annotator.report.html import as_html
from stepdistill.annotator.report.report import (
    THIS_RUN,
    RunReport,
    best_and_own,
    grouped,
    points,
    report_run,
    report_store,
)
from stepdistill.annotator.report.view import facts_of
from stepdistill.annotator.run.chunks import ONE_CORE, Cores
from stepdistill.annotator.run.planning import make_plans, make_tariff
from stepdistill.annotator.run.run_notes import (
    Spender,
    Spending,
    Study,
    choose_run,
    find_runs,
    noted,
    notes_in,
)
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.store.answer import Mode, Usage
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.trial import plans_of_study
from stepdistill.annotator.teacher.progress import Progress
from tests.annotator.made import an_answer
from tests.annotator.report.made import a_report, a_result, judged
from tests.annotator.study.made import a_score
from tests.journeys.conftest import ROOT
from tests.journeys.money import demo_data

USAGE = Usage(prompt=100, completion=10)
PRICES = """
models:
  scored: [{valid_from: 2020-01-01, source: made up, input: 1, output: 10}]
  optimiser: [{valid_from: 2020-01-01, source: made up, input: 100, output: 0}]
"""
STUDY = Study(
    split="train",
    test_size=5,
    seed=1,
    templates=(Template(id="first", user="1 {problem}"), Template(id="second", user="2 {problem}")),
)


@pytest.fixture
def config(tmp_path: Path, store: ResponseStore) -> Iterator[RunSettings]:
    """A run of the demo task by `scored`, with prompts of its own."""
    shutil.copytree(ROOT / "prompts" / "demo", tmp_path / "prompts" / "demo")
    (tmp_path / "prices.yaml").write_text(PRICES)
    yield RunSettings(
        task="demo",
        splits=("train",),
        teacher="scored",
        base_url="http://localhost:1/v1",
        prompts=tmp_path / "prompts",
        store=store.path,
        out=tmp_path / "out",
        samples=10,
        prices=tmp_path / "prices.yaml",
    )


def spender(config: RunSettings, **changes: object) -> Spender:
    name = name_of(make_plans(config))
    return replace(Spender(plan=name, config=config, tariff=make_tariff(config)), **changes)


def pay(store: ResponseStore, plan: Plan, rows: int, mode: Mode = "online") -> None:
    now = int(time.time())
    store.put(
        [
            (row.label.key, an_answer(model="scored", usage=USAGE, mode=mode, asked_at=now))
            for row in islice(plan.rows(), rows)
        ],
        [],
    )


def the_report(config: RunSettings, store: ResponseStore) -> RunReport:
    (note,) = notes_in(store)
    return report_run(note, store, config.prices)


def answers(report: RunReport, by: str) -> dict[str, int]:
    return {name: paid.answers for name, paid in grouped(report.paid, by).items()}


@pytest.mark.parametrize(("rate", "kept"), [(1.0, 10), (0.3, 3), (0.0, 0)])
def test_only_rationales_that_records_keep_are_counted(
    config: RunSettings, store: ResponseStore, rate: float, kept: int
):
    config = replace(config, template="label-first", shards=ShardSettings(rationale_rate=rate))
    with noted(store, spender(config)):
        (plan,) = make_plans(config)
        text = "Label: addition\nRationale: Some more come to those that are there."
        store.put([(row.label.key, an_answer(text, model="scored")) for row in plan.rows()], [])
    whole = the_report(config, store).account.whole

    assert (whole.rows, whole.labels, whole.rationales) == (10, 10, kept)


def a_search(config: RunSettings, store: ResponseStore) -> Spending:
    """A search that tried two templates, and asked another model for proposals."""
    with noted(store, spender(config, kind="search")) as spending:
        spending.tries(STUDY.model_copy(update={"templates": STUDY.templates[:1]}))
        spending.tries(STUDY)
        for plan, rows in zip(plans_of_study(config, STUDY), (5, 2), strict=True):
            pay(store, plan, rows)
        now = int(time.time())
        proposal = an_answer(model="optimiser", usage=Usage(prompt=50_000), asked_at=now)
        store.put([(b"p" * 32, proposal)], [])
    return spending


def test_a_search_is_accounted_for_by_the_templates_it_tried(
    config: RunSettings, store: ResponseStore
):
    a_search(config, store)
    report = the_report(config, store)

    assert report.note.name.startswith("search-")
    assert answers(report, "template") == {"first": 5, "second": 2, "-": 1}
    assert answers(report, "part") == {"both": 7, "other": 1}
    assert (report.account.rows, report.account.unasked) == (7, 3)  # a race asks some no further
    assert report.account.judged["second"].gold == 2
    proposals = grouped(report.paid, "part")["other"]
    assert proposals.usd == 5  # at the price of the model that proposed
    assert report.account.total.usd == 5 + 7 * Decimal("0.0002")


def test_what_a_killed_search_tried_is_known_when_it_goes_on(
    config: RunSettings, store: ResponseStore
):
    killed = noted(store, spender(config, kind="search"))  # never left
    killed.__enter__().tries(STUDY)
    others = (Template(id="first", user="edited {problem}"),)
    progress = Progress(asked=3)
    with noted(store, spender(config, kind="search")) as spending:
        spending.tries(STUDY.model_copy(update={"templates": others}))
        spending.count(progress)

    (note,) = notes_in(store)
    (study,) = note.studies
    assert [each.asked for each in note.starts] == [0, 3]
    assert note.starts[0].ended_at is None
    assert [name for plan in plans_of_study(config, study) for name in plan.templates] == [
        f"first@{STUDY.templates[0].digest[:6]}",
        "second",
        "first",
    ]


def test_answers_to_words_that_were_edited_stay_in_the_account(
    config: RunSettings, store: ResponseStore
):
    with noted(store, spender(config)):
        pay(store, make_plans(config)[0], 10)
    before = the_report(config, store)
    file = config.prompts / "demo" / "templates.yaml"
    file.write_text(file.read_text().replace("{problem}", "Now: {problem}"))
    edited = the_report(config, store)
    shutil.rmtree(config.prompts / "demo")
    gone = the_report(config, store)

    assert answers(before, "part") == {"both": 10}
    assert before.changed is None
    for report, why in ((edited, "have changed"), (gone, "cannot be read any more")):
        assert why in str(report.changed)
        assert answers(report, "part") == {"other": 10}
        assert report.account.total == before.account.total
    assert edited.account.unasked == 10


def test_a_store_counts_each_answer_once_whoever_else_uses_it(
    config: RunSettings, store: ResponseStore
):
    twice = replace(config, samples=4)
    imported = an_answer(model="optimiser", usage=Usage(prompt=1), mode="import")
    store.put([(b"i" * 32, imported)], [])
    with noted(store, spender(config)):
        pay(store, make_plans(config)[0], 10)
    with noted(store, spender(twice)):
        pass
    report = report_store(store, config.prices)

    by_run = {name: paid.answers for name, paid in grouped(report.paid, "run").items()}
    assert by_run == {NO_RUN: 1, report.runs[0].note.name: 10}
    small = report.runs[1].account
    assert (small.rows, small.others, small.paid_usd) == (4, 4, 0)
    assert choose_run(find_runs(store.path, store), None) == report.runs[1].note


@pytest.fixture
def mixed(config: RunSettings, store: ResponseStore, tmp_path: Path) -> RunSettings:
    """90 rows, each third of which asks what one far before it asks, and a split that asks nothing
    else; two runs paid, by votes."""
    lines = demo_data(tmp_path, 90).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    again = [{**rows[n // 2], "id": f"again-{n}"} if n % 3 == 2 else rows[n] for n in range(90)]
    data = tmp_path / "again.jsonl"
    data.write_text("\n".join(map(json.dumps, again)), encoding="utf-8")
    config = replace(config, data=str(data), samples=None, votes=2, template="label-first")
    config = replace(config, splits=("train", "test"))
    plan, _ = make_plans(config)
    keys = list(dict.fromkeys(each.key for row in plan.rows() for each in row.requests))
    labels = [f"Label: {label}" for label in ("addition", "subtraction", "nothing known")]
    answers = [
        (key, an_answer(labels[key[0] % 3], model="scored", usage=USAGE, cost_usd=key[1] / 7e5))
        for key in keys[:-9]  # the last rows are not asked
    ]
    now = int(time.time())
    for part, paid in enumerate((answers[::4], [e for n, e in enumerate(answers) if n % 4])):
        with noted(store, spender(replace(config, samples=part * 40 + 40))):
            store.put([(key, answer._replace(asked_at=now)) for key, answer in paid], [])
    return replace(config, samples=40)


def test_an_account_is_the_same_by_whatever_processes_and_chunks(
    mixed: RunSettings, store: ResponseStore
):
    sevens = Cores(processes=1, chunk_rows=7)
    two = replace(sevens, processes=2, from_answers=1, at_once=True)
    n_others = 0
    for note in notes_in(store):
        by_one, by_two, whole = (
            report_run(note, store, mixed.prices, cores) for cores in (sevens, two, ONE_CORE)
        )
        assert as_html(by_one) == as_html(by_two)
        assert facts_of(by_one) == facts_of(by_two)
        assert list(by_one.account.paid) == list(whole.account.paid)
        assert "test" not in {place.split for place in whole.paid}
        facts = facts_of(whole), facts_of(by_one)
        flat, other = (re.split(r"([\d.]+(?:e-?\d+)?)", json.dumps(each)) for each in facts)
        assert len(flat) == len(other)
        for one, same in zip(flat, other, strict=True):
            assert one == same or float(one) == pytest.approx(float(same))
        assert whole.account.shared
        assert whole.account.by_second == by_one.account.by_second
        n_others += whole.account.others
    assert n_others


def test_efficient_is_what_no_other_beats_at_its_price_or_below():
    report = a_report(
        a_result(cheap=(10, 5, 0.1), worse=(10, 4, 0.2), same=(10, 8, 0.4)),
        a_result("another", perfect=(10, 10, 0.0)),
        good=judged(100, 80, "3"),
        poor=judged(100, 60, "9"),
        silent=Judged(rows=100, usd=Decimal(1)),
    )
    found = points(report)

    assert [(each.template, each.efficient) for each in found] == [
        ("cheap", True),
        ("worse", False),
        ("good", True),
        ("same", False),
        ("poor", False),
    ]
    assert [each.template for each in best_and_own(found)] == ["cheap", "good", "poor"]
    assert {each.basis for each in found if each.template in ("good", "poor")} == {THIS_RUN}


def test_what_could_not_be_read_is_not_efficient_however_cheap_it_was():
    known = a_result(cheap=(10, 5, 0.1))
    odd = a_score(rows=10, correct=0, cost_usd=0.0, labels=0)
    known = known.model_copy(update={"templates": {**known.templates, "odd": odd}})
    report = a_report(known, mute=Judged(rows=100, gold=100, usd=Decimal("0.001")))

    assert [(each.template, each.efficient) for each in points(report)] == [("cheap", True)]
    assert report.account.judged["mute"].accuracy is None


def test_an_experiment_is_not_shown_beside_itself():
    report = a_report(a_result(one=(10, 5, 0.1)), one=judged(10, 5, "0.1"))

    assert [each.basis for each in points(report)] == [THIS_RUN]
