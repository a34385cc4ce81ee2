"""From a store to reports: its runs, the account of each, and what follows from it: what one of
each costs, groups, which templates are best."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from stepdistill.annotator.estimate.estimate import PlannedCost, kept_estimate
from stepdistill.annotator.estimate.three_points import ThreePoints
from stepdistill.annotator.money.bill import reported_remark
from stepdistill.annotator.money.prices import Tariff, load_own_prices
from stepdistill.annotator.plan.key import endpoint_of
from stepdistill.annotator.plan.plan import name_of
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.provider.profiles import load_providers
from stepdistill.annotator.report.account import NO_RUN, Account, CostPlace, Paid
from stepdistill.annotator.report.accountant import Accountant, Payers
from stepdistill.annotator.run.chunks import ONE_CORE, Cores
from stepdistill.annotator.run.planning import make_plans, make_tariff
from stepdistill.annotator.run.rationale_rate import ration
from stepdistill.annotator.run.run_notes import RunNote, notes_in
from stepdistill.annotator.run.structured import recall_formats
from stepdistill.annotator.run.write import SplitWriter
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.teacher import OPENAI_BASE_URL
from stepdistill.annotator.store.answer import Mode
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.metadata import TemplateResult
from stepdistill.annotator.study.trial import plans_of_study
from stepdistill.common.errors import DatasetError, PromptError


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A run and its account."""

    note: RunNote
    account: Account
    planned: PlannedCost | None  # what was estimated for it; None where nothing was
    changed: str | None  # what is not as it was when the run was started; None where all is
    store: Path
    # What the task's metadata knows of its templates.
    results: list[TemplateResult] = field(default_factory=list[TemplateResult])
    templates: dict[str, Template] = field(default_factory=dict[str, Template])

    @property
    def paid(self) -> dict[CostPlace, Paid]:
        """The answers of its rows, whoever paid for them, and what else it paid for."""
        return self.account.paid

    @property
    def planned_usd(self) -> tuple[Mode, ThreePoints] | None:
        """What was estimated for the mode in which it was started, online where for both."""
        if self.planned is None:
            return None
        if {start.mode for start in self.note.starts} == {"batch"}:
            return "batch", self.planned.batch_usd
        return "online", self.planned.online_usd

    @property
    def difference(self) -> float | None:
        """How far the actual cost is from the likely one, as a share of it; None without both."""
        if self.planned_usd is None or not self.planned_usd[1].likely:
            return None
        return float(self.account.paid_usd) / self.planned_usd[1].likely - 1

    @property
    def warnings(self) -> list[str]:
        """What a person should know."""
        found = [] if self.changed is None else [f"{self.note.name}: {self.changed}"]
        total = self.account.total
        if total.answers and total.reported == total.answers:
            remark = reported_remark(float(total.usd), total.reported_usd)
            found += [remark] if remark else []
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreReport:
    """All that a store holds."""

    store: Path
    runs: list[RunReport]
    outside: Account  # of the answers that no run paid for

    @property
    def paid(self) -> dict[CostPlace, Paid]:
        """Every answer once, where the run counts it that paid for it."""
        found = dict(self.outside.paid)
        for report in self.runs:
            own = report.account.paid.items()
            found |= {place: paid for place, paid in own if place.run == report.note.name}
        return found

    @property
    def warnings(self) -> list[str]:
        """What a person should know."""
        return [line for report in self.runs for line in report.warnings]


Report = RunReport | StoreReport
THIS_RUN = "this run"
BY = ("split", "template", "part", "mode")


def report_run(
    note: RunNote, store: ResponseStore, prices: Path | None, cores: Cores = ONE_CORE
) -> RunReport:
    """The report of one run. Raises ConfigError: a price is not known."""
    payers = Payers(notes_in(store))
    report, accountant = _report(note, store, prices, payers, cores)
    _add_others({note.name: accountant}, payers, store)
    return report


def report_store(store: ResponseStore, prices: Path | None, cores: Cores = ONE_CORE) -> StoreReport:
    """The reports of all runs. Raises ConfigError: a price is not known."""
    notes = notes_in(store)
    payers = Payers(notes)
    runs = [_report(note, store, prices, payers, cores) for note in notes]
    # Of answers that no run paid for only the model is known: what OpenAI asks for it.
    openai, host = load_providers()["openai"], endpoint_of(OPENAI_BASE_URL).name
    any_model = Tariff(model="", host=host, own=load_own_prices(prices), provider=openai)
    outside = Accountant(NO_RUN, any_model, payers)
    accountants = {report.note.name: accountant for report, accountant in runs}
    _add_others({**accountants, NO_RUN: outside}, payers, store)
    reports = [report for report, _ in runs]
    return StoreReport(store=store.path, runs=reports, outside=outside.account)


def _add_others(
    accountants: Mapping[str, Accountant], payers: Payers, store: ResponseStore
) -> None:
    """What was paid for and is no row's answer (any more)."""
    with store.reading() as stored:
        for key in stored.keys("responses"):
            found = (each.payer_of(key) for each in accountants.values())
            name = next(filter(None, found), None)
            payer = accountants.get(name) if name else None
            if name and (payer is None or payer.payer_of(key)):
                continue  # nearly all are counted, and not read once more
            answer = stored.answer(key)
            payer = accountants.get(name or payers.of(answer)) if answer else None
            if answer is not None and payer is not None:
                payer.add_other(key, answer)


def _report(
    note: RunNote, store: ResponseStore, prices: Path | None, payers: Payers, cores: Cores
) -> tuple[RunReport, Accountant]:
    """All rows of a run, counted; answers that no row asks for are still to be added."""
    config = note.config(store.path, prices)
    accountant = Accountant(note.name, make_tariff(config), payers, cores)
    templates: dict[str, Template] = {}
    changed = _add_rows(accountant, note, config, store, templates)
    report = RunReport(
        note=note,
        account=accountant.account,
        planned=kept_estimate(config.out, note.name),
        changed=changed,
        store=store.path,
        templates=templates,
    )
    return report, accountant


def _add_rows(
    accountant: Accountant,
    note: RunNote,
    config: RunSettings,
    store: ResponseStore,
    templates: dict[str, Template],
) -> str | None:
    """Count all rows; what is not as it was when they were asked. templates: what they were asked
    with is added to it."""
    try:
        if note.studies:
            plans = [plan for study in note.studies for plan in plans_of_study(config, study)]
        else:
            plans = make_plans(config)
        recall_formats(store, plans)
        for plan in plans:
            templates |= plan.templates
        splits = [
            SplitWriter(
                plan, config.out / plan.split, config.shards, accountant.tariff, accountant.cores
            )
            for plan in plans
        ]
        if config.shards.rationale_rate < 1:
            ration(splits, config.shards.rationale_rate, store, lambda _: None)
        for split in splits:
            accountant.add(split.concluder, store)
    except (DatasetError, PromptError) as error:
        return f"what cannot be read any more is counted without its template ({error})"
    if note.studies or note.kind == "probe" or name_of(plans) == note.name:
        return None
    return "rows or prompts have changed since: the account is of what is there"


def usd_per(account: Account) -> dict[str, float | None]:
    """What one of each costs, in USD; None where there is none of it."""
    usd, whole = float(account.total.usd), account.whole
    counts = {
        "row": account.rows,
        "label": whole.labels,
        "rationale": whole.rationales,
        "correct_label": whole.correct,
    }
    return {name: usd / n if n else None for name, n in counts.items()}


def grouped(paid: Mapping[CostPlace, Paid], by: str) -> dict[str, Paid]:
    """What was paid, by `run`, `split`, `template`, `part` or `mode`."""
    groups: defaultdict[str, Paid] = defaultdict(Paid)
    for place, each in paid.items():
        groups[getattr(place, by)] += each
    return dict(groups)


class Point(NamedTuple):
    """What a template achieved at which cost of a row."""

    template: str
    basis: str  # on which rows, and who read the answers
    rows: int  # with a gold label
    accuracy: float  # 0..1
    row_usd: float
    efficient: bool = False  # no other is as cheap and as good


def points(report: RunReport) -> list[Point]:
    """The run's templates and those of its teacher that the task's metadata knows, the cheapest
    first; without those of which no answer could be read, as these have no accuracy."""
    own = [
        Point(name, THIS_RUN, judged.gold, judged.accuracy, judged.row_usd)
        for name, judged in report.account.judged.items()
        if judged.accuracy is not None
    ]
    same = {(each.template, each.rows, each.accuracy) for each in own}  # an experiment's own
    known = [e for e in _known(report) if (e.template, e.rows, e.accuracy) not in same]
    found = sorted((*own, *known), key=lambda each: (each.row_usd, -each.accuracy))
    bests = accumulate((each.accuracy for each in found), max, initial=-1.0)
    return [
        each._replace(efficient=each.accuracy > best)
        for each, best in zip(found, bests, strict=False)
    ]


def _known(report: RunReport) -> Iterator[Point]:
    for result in report.results:
        setting = result.setting
        if (setting.teacher, setting.effort) != (report.note.teacher, report.note.effort):
            continue
        basis = f"{setting.rows} of {setting.split}, {setting.read_by}"
        for name, score in result.templates.items():
            if score.cost_per_row_usd is not None and not score.is_unread:
                yield Point(name, basis, score.rows, score.accuracy, score.cost_per_row_usd)


def best_and_own(known: list[Point]) -> list[Point]:
    """The points that a table has room for."""
    return [each for each in known if each.efficient or each.basis == THIS_RUN]
