"""From a store to reports: its runs, and the account of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stepdistill.annotator.estimate.estimate import PlannedCost, kept_estimate
from stepdistill.annotator.money.prices import Tariff, load_own_prices
from stepdistill.annotator.plan.key import endpoint_of
from stepdistill.annotator.plan.plan import name_of
from stepdistill.annotator.report.account import (
    NO_RUN,
    Account,
    Accountant,
    CostPlace,
    Paid,
    Payers,
)
from stepdistill.annotator.run.planning import make_plans, make_tariff
from stepdistill.annotator.run.rationale_rate import ration
from stepdistill.annotator.run.run_notes import RunNote, notes_in
from stepdistill.annotator.run.write import SplitWriter
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.teacher import OPENAI_BASE_URL
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.metadata import TemplateResult
from stepdistill.annotator.study.trial import plans_of_study
from stepdistill.common.errors import DatasetError, PromptError, StoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A run and its account."""

    note: RunNote
    account: Account
    planned: PlannedCost | None  # what was estimated for it; None where nothing was
    changed: str | None  # what is not as it was when the run was started; None where all is
    # What the task's metadata knows of its templates.
    results: list[TemplateResult] = field(default_factory=list[TemplateResult])

    @property
    def paid(self) -> dict[CostPlace, Paid]:
        """The answers of its rows, whoever paid for them, and what else it paid for."""
        return self.account.paid

    @property
    def warnings(self) -> list[str]:
        """What a person should know."""
        return [] if self.changed is None else [f"{self.note.name}: {self.changed}"]


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


def find_runs(target: Path, store: ResponseStore) -> list[RunNote]:
    """The runs that wrote into a folder, or all of the store; the latest last. Raises StoreError:
    there is none."""
    notes = notes_in(store)
    if not notes:
        raise StoreError(f"--store {store.path}: it remembers no run: annotate run makes one")
    if target.resolve() == store.path.resolve():
        return notes
    folder = target.absolute()
    found = [note for note in notes if note.out in (folder, folder.parent)]
    if not found:
        known = ", ".join(dict.fromkeys(str(note.out) for note in notes))
        raise StoreError(f"{target}: no run of --store {store.path} wrote there (it has: {known})")
    return found


def choose_run(notes: list[RunNote], name: str | None) -> RunNote:
    """The run whose name begins so; without a name the latest, `annotate run` before all others.
    Raises StoreError: there is none, or more than one."""
    if name is None:
        return next((note for note in reversed(notes) if note.kind == "run"), notes[-1])
    found = [note for note in notes if note.name.startswith(name)]
    if len(found) != 1:
        known = ", ".join(note.name for note in found or notes)
        raise StoreError(f"--run {name}: {'more than one' if found else 'none'} of {known}")
    return found[0]


def report_run(note: RunNote, store: ResponseStore, prices: Path | None) -> RunReport:
    """The report of one run. Raises ConfigError: a price is not known."""
    payers = Payers(notes_in(store))
    report, accountant = _report(note, store, prices, payers)
    _add_others({note.name: accountant}, payers, store)
    return report


def report_store(store: ResponseStore, prices: Path | None) -> StoreReport:
    """The reports of all runs. Raises ConfigError: a price is not known."""
    notes = notes_in(store)
    payers = Payers(notes)
    runs = [_report(note, store, prices, payers) for note in notes]
    # Of answers that no run paid for only the model is known: what OpenAI asks for it.
    openai = endpoint_of(OPENAI_BASE_URL).name
    any_model = Tariff(model="", host=openai, own=load_own_prices(prices))
    outside = Accountant(NO_RUN, any_model, payers)
    accountants = {report.note.name: accountant for report, accountant in runs}
    _add_others({**accountants, NO_RUN: outside}, payers, store)
    return StoreReport(
        store=store.path, runs=[report for report, _ in runs], outside=outside.account
    )


def _add_others(
    accountants: Mapping[str, Accountant], payers: Payers, store: ResponseStore
) -> None:
    """What was paid for and is no row's answer (any more)."""
    with store.reading() as stored:
        for key, answer in stored.answers():
            payer = accountants.get(payers.of(answer))
            if payer is not None:
                payer.add_other(key, answer)


def _report(
    note: RunNote, store: ResponseStore, prices: Path | None, payers: Payers
) -> tuple[RunReport, Accountant]:
    """All rows of a run, counted; answers that no row asks for are still to be added."""
    config = note.config(store.path, prices)
    accountant = Accountant(note.name, make_tariff(config), payers)
    changed = _add_rows(accountant, note, config, store)
    planned = kept_estimate(config.out, note.name)
    report = RunReport(note=note, account=accountant.account, planned=planned, changed=changed)
    return report, accountant


def _add_rows(
    accountant: Accountant, note: RunNote, config: RunSettings, store: ResponseStore
) -> str | None:
    """Count all rows; what is not as it was when they were asked."""
    try:
        if note.studies:
            plans = [plan for study in note.studies for plan in plans_of_study(config, study)]
        else:
            plans = make_plans(config)
        splits = [
            SplitWriter(plan, config.out / plan.split, config.shards, accountant.tariff)
            for plan in plans
        ]
        if config.shards.rationale_rate < 1:
            ration(splits, config.shards.rationale_rate, store, lambda _: None)
        for split in splits:
            with store.reading() as stored:
                accountant.add(split.plan, stored, split.rules)
    except (DatasetError, PromptError) as error:
        return f"what cannot be read any more is counted without its template ({error})"
    if note.studies or note.kind == "probe" or name_of(plans) == note.name:
        return None
    return "rows or prompts have changed since: the account is of what is there"
