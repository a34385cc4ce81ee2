"""From a store to reports: its runs, and the account of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stepdistill.annotator.estimate.estimate import PlannedCost, kept_estimate
from stepdistill.annotator.money.prices import Tariff, load_own_prices
from stepdistill.annotator.plan.key import endpoint_of
from stepdistill.annotator.plan.plan import Plan, name_of
from stepdistill.annotator.report.account import Account, Accountant, CostPlace, Paid
from stepdistill.annotator.report.payers import NO_RUN, Payers
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
    """A run and its account. planned: what was estimated for it, None where nothing was.

    changed: what is not as it was when the run was started, None where all is. results: what the
    task's metadata knows of its templates.
    """

    note: RunNote
    account: Account
    planned: PlannedCost | None
    changed: str | None
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
    """All that a store holds. outside: answers that no run paid for."""

    store: Path
    runs: list[RunReport]
    outside: Account

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


def chosen(notes: list[RunNote], name: str | None) -> RunNote:
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
    reporter = _Reporter(note, store, prices, payers)
    _add_others({note.name: reporter.accountant}, payers, store)
    return reporter.report


def report_store(store: ResponseStore, prices: Path | None) -> StoreReport:
    """The reports of all runs. Raises ConfigError: a price is not known."""
    notes = notes_in(store)
    payers = Payers(notes)
    reporters = [_Reporter(note, store, prices, payers) for note in notes]
    outside = Accountant(NO_RUN, _any_model(prices), payers)
    accountants = {each.report.note.name: each.accountant for each in reporters}
    _add_others({**accountants, NO_RUN: outside}, payers, store)
    return StoreReport(
        store=store.path, runs=[each.report for each in reporters], outside=outside.account
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


def _any_model(prices: Path | None) -> Tariff:
    """For answers of which only the model is known: what OpenAI asks for it."""
    return Tariff(model="", host=endpoint_of(OPENAI_BASE_URL).name, own=load_own_prices(prices))


class _Reporter:
    def __init__(
        self, note: RunNote, store: ResponseStore, prices: Path | None, payers: Payers
    ) -> None:
        config = note.config(store.path, prices)
        tariff = make_tariff(config)
        self.accountant = Accountant(note.name, tariff, payers)
        self.report = RunReport(
            note=note,
            account=self.accountant.account,
            planned=kept_estimate(config.out, note.name),
            changed=self._walk(note, config, store, tariff),
        )

    def _walk(
        self, note: RunNote, config: RunSettings, store: ResponseStore, tariff: Tariff
    ) -> str | None:
        """Count all rows; what is not as it was."""
        try:
            plans = _plans(note, config)
            splits = [_shards(plan, config, tariff) for plan in plans]
            if config.shards.rationale_rate < 1:
                ration(splits, config.shards.rationale_rate, store, lambda _: None)
            for split in splits:
                with store.reading() as stored:
                    self.accountant.add(split.plan, stored, split.rules)
        except (DatasetError, PromptError) as error:
            return f"what cannot be read any more is counted without its template ({error})"
        if note.studies or note.kind == "probe" or name_of(plans) == note.name:
            return None
        return "rows or prompts have changed since: the account is of what is there"


def _plans(note: RunNote, config: RunSettings) -> list[Plan]:
    """What was asked, made again."""
    if note.studies:
        return [plan for study in note.studies for plan in plans_of_study(config, study)]
    return make_plans(config)


def _shards(plan: Plan, config: RunSettings, tariff: Tariff) -> SplitWriter:
    return SplitWriter(plan, config.out / plan.split, config.shards, tariff)
