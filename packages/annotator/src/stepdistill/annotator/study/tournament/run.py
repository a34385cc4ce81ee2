"""The whole way of a tournament: contenders are asked wave by wave, and scored.

Teachers are asked one after the other, each with its own key, limits and connections, over one
store and one budget. One that cannot be asked drops out with a line, and the others go on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

import uvloop

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.errors import CeilingReached, Interrupted, RowsUnanswered
from stepdistill.annotator.money.bill import spent_usd
from stepdistill.annotator.money.prices import Price
from stepdistill.annotator.plan.plan import Plan, Unanswered, name_of
from stepdistill.annotator.run.run_notes import Spender, noted
from stepdistill.annotator.run.structured import recall_formats
from stepdistill.annotator.run.unread import why_unanswered
from stepdistill.annotator.settings.study import ExperimentSettings
from stepdistill.annotator.store.answer import Usage
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.metadata import TemplateResult, load_metadata, save_metadata
from stepdistill.annotator.study.score import Scored, score_template
from stepdistill.annotator.study.tournament.draws import RowResults
from stepdistill.annotator.study.tournament.elimination import Elimination, TournamentRules
from stepdistill.annotator.study.tournament.offers import Entrants, Rival
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.common.errors import DistillError, StoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A teacher with its effort, and a template."""

    name: str
    rival: Rival
    template: str

    def plan(self, rows: int) -> Plan:
        """Its first rows."""
        return replace(self.rival.trial.plans[self.template], samples=rows)


@dataclass(slots=True, kw_only=True)
class Tournament:
    """One tournament under way, over an open store."""

    entered: Entrants
    store: ResponseStore
    console: ConsoleOutput
    contenders: dict[str, Contender]
    race: Elimination
    scored: dict[str, Scored] = field(default_factory=dict[str, Scored])  # by contender
    # Row by row; None where nobody counted them.
    usages: dict[str, list[Usage | None]] = field(default_factory=dict[str, list[Usage | None]])
    asked_rows: dict[str, int] = field(default_factory=dict[str, int])  # by contender
    # By the teacher's name: of each time that it was asked, and why it dropped out.
    progress: dict[str, list[Progress]] = field(default_factory=dict[str, list[Progress]])
    dropped_out: dict[str, DistillError] = field(default_factory=dict[str, DistillError])
    ceiling: CeilingReached | None = None  # why it ended early

    def ask_wave(self, names: Sequence[str], rows: int) -> Mapping[str, RowResults]:
        """Ask contenders up to their first rows; what came of each. Those whose teacher fails are
        missing. Raises CeilingReached, Interrupted, StoreError; answers are stored."""
        self.console.say(f"{len(names)} contenders, {rows:,} of {self.race.n_rows:,} rows")
        for rival in self.entered.rivals:
            own = [self.contenders[name] for name in names if self.contenders[name].rival is rival]
            if own and rival.name not in self.dropped_out:
                self._ask_or_drop(rival, own, rows)
        running = [
            name for name in names if self.contenders[name].rival.name not in self.dropped_out
        ]
        return {name: self._score(name, rows) for name in running}

    def _ask_or_drop(self, rival: Rival, own: list[Contender], rows: int) -> None:
        unanswered = [
            Unanswered(plan=each.plan(rows), start=self.asked_rows.get(each.name, 0))
            for each in own
        ]
        try:
            self._ask(rival, unanswered)
            self.asked_rows |= {each.name: rows for each in own}
        except (CeilingReached, Interrupted, StoreError):
            raise
        except DistillError as error:
            self.dropped_out[rival.name] = error
            self.console.warn(f"{rival.name} drops out: {error}")

    def _ask(self, rival: Rival, unanswered: list[Unanswered]) -> None:
        run, progress = rival.trial.run, Progress()
        recall_formats(self.store, [each.plan for each in unanswered])
        keys = [request.key for each in unanswered for request in each.requests()]
        n_stored = sum(self.store.has(keys, run.settings.max_tokens))
        if n_stored == len(keys):  # a replay: no server, no connection
            self._of(rival).append(replace(progress, cached=n_stored))
            return
        if run.settings.offline:
            raise RowsUnanswered(
                f"{len(keys) - n_stored:,} of its {len(keys):,} answers are not in the store, and "
                "--offline asks nobody"
            )
        # Half of all imports: only where somebody is asked.
        from stepdistill.annotator.run.ask import ask

        self._of(rival).append(progress)
        trial, config = rival.trial, run.settings
        spender = Spender(
            plan=name_of(trial.plans.values()),
            config=config,
            tariff=trial.tariff,
            kind="experiment",
        )
        # Only while this teacher is asked: by the time it is known who paid for an answer.
        with noted(self.store, spender) as spending:
            spending.tries(trial.study)
            spending.count(progress)
            uvloop.run(ask(run, unanswered, self.store, self.console, progress))
        error = why_unanswered([progress])
        if error is not None:
            raise error

    def _of(self, rival: Rival) -> list[Progress]:
        return self.progress.setdefault(rival.name, [])

    def _score(self, name: str, rows: int) -> RowResults:
        contender = self.contenders[name]
        plan, trial = contender.plan(rows), contender.rival.trial
        with self.store.reading() as stored:
            scored = score_template(plan, stored, trial.rules, trial.tariff)
            answers = [stored.answer(planned.label.key) for planned in plan.rows()]
        self.scored[name] = scored
        self.usages[name] = [
            each.usage if each is not None and each.is_counted else None for each in answers
        ]
        priced = (usd_of(self.usages[name], way.price) for way in contender.rival.ways)
        known = [each for each in priced if each is not None]
        return RowResults(
            correct=scored.correct_rows(plan),
            usd=min(known, key=sum) if known else None,
        )

    def spent_usd(self, rival: Rival) -> float | None:
        """What this run's own answers of a teacher cost; None where no price is known."""
        spent = [spent_usd(rival.trial.tariff, each) for each in self.progress.get(rival.name, ())]
        return None if None in spent else sum(each or 0.0 for each in spent)


def usd_of(usages: Sequence[Usage | None], price: Price | None) -> list[float] | None:
    """What each of these answers costs at a price; None: it is not known. One whose tokens nobody
    counted is taken to cost what the others do."""
    if price is None:
        return None
    known = [None if each is None else float(price.cost_usd(each)) for each in usages]
    counted = [each for each in known if each is not None]
    if not counted:
        return None
    mean = fmean(counted)
    return [mean if each is None else each for each in known]


def run_tournament(
    settings: ExperimentSettings, entered: Entrants, console: ConsoleOutput, rules: TournamentRules
) -> Tournament:
    """Race all that has entered, and keep the scores. Raises DistillError: nothing is known by then
    but what the store has."""
    contenders = {
        name: Contender(name=name, rival=rival, template=template)
        for rival in entered.rivals
        for template, name in rival.contenders.items()
    }
    with ResponseStore.open(settings.store, write=not settings.offline) as store:
        race = Elimination(n_rows=entered.n_rows, rules=rules, running=list(contenders))
        tournament = Tournament(
            entered=entered, store=store, console=console, contenders=contenders, race=race
        )
        try:
            race.run(tournament.ask_wave)
        except CeilingReached as error:
            tournament.ceiling = error
    if not race.results:
        raise tournament.ceiling or next(iter(tournament.dropped_out.values()))
    _keep_scores(settings, tournament)
    return tournament


def _keep_scores(settings: ExperimentSettings, tournament: Tournament) -> None:
    """Into the task's metadata file, where `annotate evaluate` and `plots` find them."""
    metadata = load_metadata(settings.metadata, settings.task)
    for rival in tournament.entered.rivals:
        trial, own = rival.trial, rival.contenders
        scores = {
            template: tournament.scored[name].score
            for template, name in own.items()
            if name in tournament.scored
        }
        if scores:
            source = next(iter(trial.plans.values())).source
            result = TemplateResult(
                setting=trial.setting,
                reader_version=trial.rules.readers.version,
                data=source.digest,
                templates=scores,
            )
            metadata = metadata.with_scores(result)
    save_metadata(settings.metadata, metadata)
