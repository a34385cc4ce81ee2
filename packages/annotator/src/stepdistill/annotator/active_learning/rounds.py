"""`annotate run --grow`: rows are bought in rounds, those that teach most first, until the money is
spent or another dollar brings too little.

A round is the run of all rows chosen so far, written into a folder beside the store: it asks what
is new. Which rows are chosen is written down before they are asked, so the same command goes on
with the very same rows after any kill; and it follows from seed, rows and answers alone.
"""

import hashlib
import time
from dataclasses import replace

import orjson
from pydantic import BaseModel, ConfigDict

from stepdistill.annotator.active_learning.curve import FEWEST_ROUNDS, Accuracy, LearningCurve
from stepdistill.annotator.active_learning.judge import Judge, read_pool, valid_rows
from stepdistill.annotator.active_learning.report import BoughtRound, Grown, NotBought
from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.errors import CeilingReached
from stepdistill.annotator.money.budget import BudgetState
from stepdistill.annotator.money.ceiling import budgets_in
from stepdistill.annotator.money.prices import day_of
from stepdistill.annotator.plan.plan import name_of
from stepdistill.annotator.reading.record import UNREACHED
from stepdistill.annotator.run.known_addresses import with_known_addresses
from stepdistill.annotator.run.pipeline import RunResult, RunTotals, run
from stepdistill.annotator.run.planning import make_plans, make_tariff
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.manifest import REJECTS_NAME
from stepdistill.common.record import Record
from stepdistill.common.shards import read_records
from stepdistill.common.whole_file import write_whole

GROWN, JUDGING = "train", "valid"
_FIRST, _GROWTH = 50, 0.5  # rows of the first round, and by what share of all each next one adds
_KEPT_BACK = 0.03  # of what is left: rows differ in what they cost


class RoundsKept(BaseModel):
    """What is written down of the rounds, beside the store."""

    model_config = ConfigDict(extra="forbid")

    before_usd: float  # gone of the ceiling when the first round began
    rounds: list[list[int]] = []  # places of the rows of each, in the order of the choice
    usd: list[float | None] = []  # what all answers had cost after each
    by_doubt: list[bool] = []  # whether a student had a part in the choice
    ceiling: str | None = None  # the --max-cost that cut the last round short

    @property
    def places(self) -> list[int]:
        """All rows chosen so far."""
        return [place for each in self.rounds for place in each]


def grow(config: RunSettings, output: ConsoleOutput) -> Grown:
    """Choose rows and have them answered. Raises DistillError; whatever was answered until then is
    stored."""
    return _Grower(with_known_addresses(config), output).grow()


class _Grower:
    def __init__(self, config: RunSettings, output: ConsoleOutput) -> None:
        plans = make_plans(config)
        if config.point_worth_usd is not None or config.max_cost_usd is not None:
            make_tariff(config).known_price(day_of(time.time()))  # refuses where none is known
        self._config, self._output, self._plans = config, output, plans
        self._plan = next(plan for plan in plans if plan.split == GROWN)
        kept = hashlib.sha256(f"{name_of(plans)} {config.grow_seed}".encode()).hexdigest()[:16]
        self._work = config.store / "grow" / kept
        pool = read_pool(self._plan, config.grow_seed)
        self._n_rows = pool.n_rows
        self._row_of = {row.place: n for n, row in enumerate(pool.rows)}
        kind = kind_of(self._plan.task.label)
        self._judge = Judge(
            kind=kind, pool=pool.rows, valid=[], seed=config.grow_seed, shared=pool.shared
        )
        self._kept = self._read()
        self._train_usd: tuple[float, int] | None = None  # of so many rows
        self._answers: tuple[int, float | None] = 0, 0.0  # of all rounds so far, and their cost
        self.grown = Grown(settings=config, totals=RunTotals())

    def grow(self) -> Grown:
        """Round after round, until one of the reasons to stop holds."""
        kept, grown = self._kept, self.grown
        if not kept.rounds:
            self._choose(_FIRST)
        while True:
            result = self._ask()
            if result.error is not None or result.waiting:
                grown.unfinished = result
                if grown.rounds:
                    grown.judged = self._judge.in_words(self._bought)
                return grown
            self._tell()
            if grown.stopped or self._is_over():
                break
            self._choose(self._size())
        grown.settings = self._with_rows(self._config).after_rounds()
        grown.judged = self._judge.in_words(self._bought)
        if not all(kept.by_doubt):
            grown.chosen_by = (
                f"In {kept.by_doubt.count(False)} of {len(kept.rounds)} rounds no small student "
                "was surely better than the commonest label: rows were chosen at random, and by "
                "how far they lie from each other"
            )
        grown.not_bought = self._not_bought()
        return grown

    def _not_bought(self) -> NotBought:
        n, each, curve = self._n_rows, self._row_usd(), self._curve()
        left = n - len(self._kept.places)
        then = curve.at(n) if curve is not None and left else None
        return NotBought(rows=left, usd=None if each is None else left * each, accuracy=then)

    @property
    def _bought(self) -> list[int]:
        return [self._row_of[place] for place in self._kept.places]

    def _ends(self) -> list[int]:
        """How many rows there were after each round."""
        sizes = [len(each) for each in self._kept.rounds]
        return [sum(sizes[: n + 1]) for n in range(len(sizes))]

    def _choose(self, n: int) -> None:
        rows, by_doubt = self._judge.next_rows(self._bought, n)
        self._kept.rounds.append([self._judge.pool[row].place for row in rows])
        self._kept.by_doubt.append(by_doubt)
        self._write()

    def _with_rows(self, config: RunSettings) -> RunSettings:
        return replace(config, chosen={GROWN: sorted(self._kept.places)})

    def _ask(self) -> RunResult:
        """The run of all rows chosen so far; where money or answers end, of those answered."""
        kept, grown = self._kept, self.grown
        config = replace(self._with_rows(self._config).within_round(), out=self._work / "shards")
        try:
            result = run(config, self._output)
        except CeilingReached as error:
            if len(kept.rounds) < 2:
                raise
            most = kept.ceiling = str(self._config.max_cost_usd)
            grown.stopped, grown.why = "max_cost", f"--max-cost {most} is spent"
            self._output.say(str(error))
            result = self._counted(run(config.by_what_is_stored(), self._output))
        grown.totals.add(result)
        if result.error is not None or result.waiting:
            return result
        if grown.stopped or config.offline:
            self._leave_out_unanswered()
        if not self._judge.valid and JUDGING in self._config.splits:
            self._judge.valid = valid_rows(self._plan, self._records(JUDGING, result))
        records = self._records(GROWN, result)
        self._judge.labels |= {
            self._row_of[each.index]: each.label for each in records if each.label is not None
        }
        usd = _usd(result)
        self._answers = _answers(result), usd
        train = result.manifests[GROWN].cost.usd
        self._train_usd = None if train is None else (train, len(kept.places))
        kept.usd = [*kept.usd[: len(kept.rounds) - 1], usd]
        self._write()
        return result

    def _counted(self, result: RunResult) -> RunResult:
        """The run that was cut short, by what there is now and was not there before it."""
        before, cost = self._answers, _usd(result)
        usd = None if cost is None or before[1] is None else cost - before[1]
        return replace(result, asked=_answers(result) - before[0], spent_usd=usd)

    def _leave_out_unanswered(self) -> None:
        path = self._work / "shards" / GROWN / REJECTS_NAME
        lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        missing = {line["index"] for line in lines if line["reason"] in UNREACHED}
        if not missing:
            return
        if not self.grown.stopped:
            self.grown.stopped, self.grown.why = "offline", "offline, nobody is asked"
        if not self._config.offline:  # what a run without a teacher lacks is bought by the next
            self._output.say(f"{len(missing):,} rows that were chosen were not bought")
        kept = self._kept
        kept.rounds = [[place for place in each if place not in missing] for each in kept.rounds]
        while len(kept.rounds) > 1 and not kept.rounds[-1]:
            kept.rounds.pop()
            kept.by_doubt.pop()

    def _records(self, split: str, result: RunResult) -> list[Record]:
        return list(read_records(self._work / "shards" / split, result.manifests[split]))

    def _tell(self) -> None:
        """What is known by now, judged by all rows that judge by now."""
        bought, ends = self._bought, self._ends()
        rights = [self._judge.right(end, bought) for end in ends]
        self.grown.rounds = [
            BoughtRound(rows=end, usd=usd, accuracy=Accuracy.of(right) if len(right) else None)
            for end, usd, right in zip(ends, self._kept.usd, rights, strict=True)
        ]
        last = self.grown.rounds[-1]
        words = "nothing judges it" if last.accuracy is None else last.accuracy.in_words()
        usd = "" if last.usd is None else f", {last.usd:.4f} USD"
        self._output.say(
            f"round {len(ends)}: {last.rows:,} rows{usd}; a small student's accuracy: {words}"
        )

    def _curve(self) -> LearningCurve | None:
        bought, ends = self._bought, self._ends()
        rights = [self._judge.right(end, bought) for end in ends]
        if len(ends) < FEWEST_ROUNDS or not len(rights[0]):
            return None
        return LearningCurve(ends, rights, self._config.grow_seed)

    def _row_usd(self) -> float | None:
        if self._train_usd is None:
            return None
        usd, rows = self._train_usd
        return usd / rows if rows else None

    def _size(self) -> int:
        """Rows of the next round, as far as the money reaches."""
        usual = max(_FIRST // 2, round(_GROWTH * len(self._kept.places)))
        usual = min(usual, len(self._judge.pool) - len(self._kept.places))
        each, most = self._row_usd(), self._config.max_cost_usd
        if most is None or not each:
            return usual
        left = float(most) - self._kept.before_usd - (self._kept.usd[-1] or 0.0)
        return min(usual, max(0, int(left * (1 - _KEPT_BACK) / each)))

    def _is_over(self) -> bool:
        """Whether there is a reason to stop, which is then said."""
        grown, kept = self.grown, self._kept
        size = self._size()
        most, worth = self._config.max_cost_usd, self._config.point_worth_usd
        if len(kept.places) == len(self._judge.pool):
            n = len(kept.places)
            where = f" in the pool of {n:,}" if n < self._n_rows else ""
            grown.stopped, grown.why = "rows", f"there are no more rows{where}"
        elif size < 1 or (kept.ceiling is not None and kept.ceiling == str(most)):
            grown.stopped, grown.why = "max_cost", f"--max-cost {most} is spent"
        elif worth is not None and (why := self._too_little(size, float(worth))):
            grown.stopped, grown.why = "point_worth", why
        return bool(grown.stopped)

    def _too_little(self, size: int, worth: float) -> str | None:
        """Why the next rows are not worth it, if they are not."""
        curve, each, now = self._curve(), self._row_usd(), len(self._kept.places)
        if curve is None or not each:
            return None
        points, usd = 100 * curve.gain(now, now + size), size * each
        if points * worth >= usd:
            return None
        return (
            f"the next {size:,} rows would cost {usd:.4f} USD and bring {points:.2f} points, which "
            f"at --point-worth {worth:g} are worth {points * worth:.4f} USD"
        )

    def _read(self) -> RoundsKept:
        try:
            kept = RoundsKept.model_validate_json((self._work / "rounds.json").read_bytes())
        except (OSError, ValueError):
            kept = None
        if kept is not None and set(kept.places) <= self._row_of.keys():
            return kept
        return RoundsKept(before_usd=_gone_usd(self._config))

    def _write(self) -> None:
        if not self._config.offline:
            write_whole(self._work / "rounds.json", self._kept.model_dump_json().encode())


def _gone_usd(config: RunSettings) -> float:
    """What is gone of the budget that the ceiling counts."""
    if not (config.store / "data.mdb").exists():
        return 0.0
    with ResponseStore.open(config.store, write=False) as store:
        found = budgets_in(store).get(config.budget or config.task, BudgetState())
    return float(found.bound_usd)


def _answers(result: RunResult) -> int:
    """How many there are to all its rows."""
    return sum(manifest.answers for manifest in result.manifests.values())


def _usd(result: RunResult) -> float | None:
    """What these cost."""
    costs = [manifest.cost.usd for manifest in result.manifests.values()]
    return None if None in costs else sum(cost or 0.0 for cost in costs)
